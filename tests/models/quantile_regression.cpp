// Three quantiles of skewed noise: the pinball loss.

#include "models/models.h"

namespace zoo {

Model quantile_regression() {
  using namespace torch::nn;
  const auto x = 2 * torch::rand({kExamples, 2}) - 1;
  const auto noise = torch::empty({kExamples}).exponential_();
  const auto y = torch::sin(3 * x.select(1, 0)) + 0.5 * (1.2 + x.select(1, 1)) * noise;
  const auto quantiles = torch::tensor({0.1f, 0.5f, 0.9f});

  Sequential net(Linear(2, 32), Tanh(), Linear(32, 3));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto error = rows(y, batch).unsqueeze(1) - net->forward(rows(x, batch));
            return torch::max(quantiles * error, (quantiles - 1) * error).mean();
          }};
}

}  // namespace zoo
