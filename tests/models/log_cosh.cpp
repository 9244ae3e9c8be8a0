// Regression on data with outliers by log cosh, in the form that does not overflow.

#include <cmath>

#include "models/models.h"

namespace zoo {

Model log_cosh() {
  using namespace torch::nn;
  const auto x = torch::randn({kExamples, 4});
  const auto outliers = 5 * (torch::rand({kExamples}) < 0.05).to(torch::kFloat);
  const auto noise = (0.1 + outliers) * torch::randn({kExamples});
  const auto y = torch::sin(x.select(1, 0)) * x.select(1, 1) + x.select(1, 2) + noise;

  Sequential net(Linear(4, 32), Tanh(), Linear(32, 1));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto error = net->forward(rows(x, batch)).squeeze(1) - rows(y, batch);
            return (error + torch::softplus(-2 * error) - std::log(2.0)).mean();
          }};
}

}  // namespace zoo
