// Does the user click? The product of two towers' outputs is the logit.

#include "models/models.h"

namespace zoo {

Model two_tower() {
  using namespace torch::nn;
  const auto users = torch::randn({kExamples, 6}), items = torch::randn({kExamples, 5});
  const auto match = users.mm(torch::randn({6, 3})).tanh() * items.mm(torch::randn({5, 3})).tanh();
  const auto y = (match.sum(1) > 0).to(torch::kFloat);

  const auto make_tower = [](int64_t features) {
    return Sequential(Linear(features, 32), ReLU(), Linear(32, 8));
  };
  auto user_tower = make_tower(6), item_tower = make_tower(5);
  auto parameters = user_tower->parameters();
  for (const auto& parameter : item_tower->parameters()) parameters.push_back(parameter);

  return {parameters, [=](int64_t batch) mutable {
            const auto u = user_tower->forward(rows(users, batch));
            const auto v = item_tower->forward(rows(items, batch));
            return functional::binary_cross_entropy_with_logits((u * v).sum(1), rows(y, batch));
          }};
}

}  // namespace zoo
