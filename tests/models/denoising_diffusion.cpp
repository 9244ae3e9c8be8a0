// The noise in noisy points of a ring, for a noise level that the network is told (Ho et al. 2020).

#include <cmath>

#include "models/models.h"

namespace zoo {
namespace {

constexpr int64_t kLevels = 50;

Tensor time_embedding(const Tensor& t) {
  const auto angles = t.unsqueeze(1) * torch::exp(-torch::arange(4)) * 0.3;
  return torch::cat({angles.sin(), angles.cos()}, 1);
}

}  // namespace

Model denoising_diffusion() {
  using namespace torch::nn;
  const auto angle = 2 * M_PI * torch::rand({kExamples});
  const auto points = torch::stack({angle.cos(), angle.sin()}, 1);
  const auto kept = torch::cumprod(1 - torch::linspace(1e-3, 0.15, kLevels), 0);

  Sequential net(Linear(2 + 8, 48), SiLU(), Linear(48, 48), SiLU(), Linear(48, 2));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto x0 = rows(points, batch), noise = torch::randn_like(x0);
            const auto t = torch::randint(kLevels, {kBatch});
            const auto alpha = kept.index({t}).unsqueeze(1);
            const auto xt = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise;
            const auto predicted = net->forward(torch::cat({xt, time_embedding(t)}, 1));
            return functional::mse_loss(predicted, noise);
          }};
}

}  // namespace zoo
