// The mean and the log-variance of noise that grows.

#include "models/models.h"

namespace zoo {

Model gaussian_nll_by_hand() {
  using namespace torch::nn;
  const auto x = 2 * torch::rand({kExamples, 1}) - 1;
  const auto y = torch::sin(4 * x) + torch::exp(x - 1) * torch::randn({kExamples, 1});

  Sequential net(Linear(1, 32), Tanh(), Linear(32, 2));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto head = net->forward(rows(x, batch));
            const auto mu = head.narrow(1, 0, 1), logvar = head.narrow(1, 1, 1);
            return 0.5 * (logvar + (rows(y, batch) - mu).pow(2) * torch::exp(-logvar)).mean();
          }};
}

}  // namespace zoo
