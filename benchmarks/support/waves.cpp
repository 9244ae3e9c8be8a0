#include "support/waves.h"

#include <torch/torch.h>

#include <cmath>
#include <numbers>

namespace benchmarks {

using torch::Tensor;

examples::Dataset noisy_waves(uint64_t seed, double scale) {
  constexpr int64_t kPoints = 1600, kFeatures = 8, kWaves = 6;
  constexpr double kFrequency = 1.5, kNoise = 0.3;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(1000 + seed);
  const auto draw_points = [&] { return torch::randn({kPoints, kFeatures}, generator); };
  const auto x = draw_points();
  const auto w = torch::randn({kFeatures, kWaves}, generator) / std::sqrt(double(kFeatures));
  const auto phases = 2 * std::numbers::pi * torch::rand({kWaves}, generator);
  const auto with_targets = [&](const Tensor& points) -> examples::Batch {
    const auto waves = torch::sin(kFrequency * points.mm(w) + phases).sum(1);
    const auto noise = kNoise * torch::randn({kPoints}, generator);
    return {points, (scale * (waves / std::sqrt(kWaves / 2.0) + noise)).unsqueeze(1)};
  };
  const auto train = with_targets(x);
  return {"noisy waves", train, with_targets(draw_points())};
}

}  // namespace benchmarks
