// A mixture of three normals for a curve with two branches (Bishop 1994).

#include <cmath>

#include "models/models.h"

namespace zoo {

Model mixture_density() {
  using namespace torch::nn;
  const auto x = 2 * torch::rand({kExamples, 1}) - 1;
  const auto branch = 2 * torch::randint(2, {kExamples, 1}) - 1;
  const auto y = branch * (0.5 + x.abs()) + 0.1 * torch::randn({kExamples, 1});

  Sequential net(Linear(1, 32), Tanh(), Linear(32, 9));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto parts = net->forward(rows(x, batch)).chunk(3, 1);
            const auto log_pi = torch::log_softmax(parts[0], 1);
            const auto mu = parts[1], log_sigma = parts[2];
            const auto error = (rows(y, batch) - mu) * torch::exp(-log_sigma);
            const auto log_density = -0.5 * error.pow(2) - log_sigma - 0.5 * std::log(2 * M_PI);
            return -torch::logsumexp(log_pi + log_density, 1).mean();
          }};
}

}  // namespace zoo
