// Ratings as products of users' and items' factors.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct Factorisation : torch::nn::Module {
  Factorisation(int64_t users, int64_t items, int64_t factors)
      : user(register_module("user", torch::nn::Embedding(users, factors))),
        item(register_module("item", torch::nn::Embedding(items, factors))),
        bias(register_parameter("bias", torch::zeros({}))) {}

  Tensor forward(const Tensor& u, const Tensor& i) {
    return (user->forward(u) * item->forward(i)).sum(1) + bias;
  }

  torch::nn::Embedding user, item;
  Tensor bias;
};

}  // namespace

Model matrix_factorisation() {
  constexpr int64_t kUsers = 30, kItems = 20;
  const auto users = torch::randint(kUsers, {kExamples}),
             items = torch::randint(kItems, {kExamples});
  const auto tastes = torch::randn({kUsers, 3}).mm(torch::randn({3, kItems}));
  const auto y = 3 + tastes.index({users, items}) + 0.2 * torch::randn({kExamples});

  const auto model = std::make_shared<Factorisation>(kUsers, kItems, 8);

  return {model->parameters(), [=](int64_t batch) {
            const auto z = model->forward(rows(users, batch), rows(items, batch));
            return (z - rows(y, batch)).pow(2).mean();
          }};
}

}  // namespace zoo
