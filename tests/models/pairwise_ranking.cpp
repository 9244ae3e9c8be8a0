// What a user liked above what they were shown, by the sigmoid of a difference (Rendle et al.
// 2009).

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct Preferences : torch::nn::Module {
  Preferences(int64_t users, int64_t items)
      : user(register_module("user", torch::nn::Embedding(users, 8))),
        item(register_module("item", torch::nn::Embedding(items, 8))) {}

  Tensor forward(const Tensor& u, const Tensor& i) {
    return (user->forward(u) * item->forward(i)).sum(1);
  }

  torch::nn::Embedding user, item;
};

}  // namespace

Model pairwise_ranking() {
  constexpr int64_t kUsers = 30, kItems = 20;
  const auto users = torch::randint(kUsers, {kExamples});
  const auto tastes = torch::randn({kUsers, 3}).mm(torch::randn({3, kItems})).index({users});
  const auto one = torch::randint(kItems, {kExamples, 1});
  const auto other = (one + torch::randint(1, kItems, {kExamples, 1})).remainder(kItems);
  const auto first_wins = tastes.gather(1, one) > tastes.gather(1, other);
  const auto liked = torch::where(first_wins, one, other).squeeze(1);
  const auto shown = torch::where(first_wins, other, one).squeeze(1);

  const auto model = std::make_shared<Preferences>(kUsers, kItems);

  return {model->parameters(), [=](int64_t batch) {
            const auto u = rows(users, batch);
            const auto lead =
                model->forward(u, rows(liked, batch)) - model->forward(u, rows(shown, batch));
            return -torch::log_sigmoid(lead).mean();
          }};
}

}  // namespace zoo
