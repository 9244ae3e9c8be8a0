// Counts whose log-rate a network gives.

#include "models/models.h"

namespace zoo {

Model poisson_counts() {
  using namespace torch::nn;
  const auto x = torch::randn({kExamples, 4});
  const auto y = torch::poisson(torch::exp(torch::sin(x.select(1, 0)) + 0.7 * x.select(1, 1)));

  Sequential net(Linear(4, 32), Tanh(), Linear(32, 1));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto z = net->forward(rows(x, batch)).squeeze(1);
            return (z.exp() - rows(y, batch) * z).mean();
          }};
}

}  // namespace zoo
