// Binary cross entropy as it is found in many a script: probabilities and an epsilon in the logs.

#include "models/models.h"

namespace zoo {

Model bce_by_hand() {
  using namespace torch::nn;
  constexpr double kEpsilon = 1e-7;
  const auto x = torch::randn({kExamples, 5});
  const auto y = (x.select(1, 0) * x.select(1, 1) + 0.5 * x.select(1, 2) > 0).to(torch::kFloat);

  Sequential net(Linear(5, 32), ReLU(), Linear(32, 1), Sigmoid());

  return {
      net->parameters(), [=](int64_t batch) mutable {
        const auto p = net->forward(rows(x, batch)).squeeze(1), target = rows(y, batch);
        return -(target * torch::log(p + kEpsilon) + (1 - target) * torch::log(1 - p + kEpsilon))
                    .mean();
      }};
}

}  // namespace zoo
