#include "support/curves.h"

#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace benchmarks {
namespace {

using torch::Tensor;

constexpr double kLowest = 4, kHighest = 24;  // of the three points' coordinates
constexpr int64_t kSamples = 200;             // along a curve: less than half a pixel apart
constexpr float kReach = 1.3F;                // where a pixel's brightness, 1.3 - distance, ends

/// Lagrange's polynomials of the nodes 0, ½ and 1: [samples, 3].
Tensor lagrange_basis() {
  const auto t = torch::linspace(0, 1, kSamples);
  return torch::stack({2 * (t - 0.5) * (t - 1), -4 * t * (t - 1), 2 * t * (t - 0.5)}, 1);
}

/// The pixels near a point are at least as bright as its distance to them says.
void brighten(torch::TensorAccessor<float, 1> image, float x, float y) {
  const auto first = [](float centre) {
    return std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre - kReach)));
  };
  const auto last = [](float centre) {
    return std::min<int64_t>(kCurveSide - 1, static_cast<int64_t>(std::floor(centre + kReach)));
  };
  for (int64_t row = first(y); row <= last(y); ++row) {
    for (int64_t column = first(x); column <= last(x); ++column) {
      const float distance =
          std::hypot(static_cast<float>(column) - x, static_cast<float>(row) - y);
      auto& pixel = image[row * kCurveSide + column];
      pixel = std::max(pixel, std::min(1.0F, kReach - distance));
    }
  }
}

}  // namespace

Tensor draw_curves(int64_t count, uint64_t seed) {
  const auto corners = torch::rand({count, 3, 2}, natgrad::make_generator(seed));
  const auto points = kLowest + (kHighest - kLowest) * corners;
  const auto curves = lagrange_basis().matmul(points);  // [count, samples, 2]
  const auto images = torch::zeros({count, kCurveSide * kCurveSide});
  const auto at = curves.accessor<float, 3>();
  auto pixels = images.accessor<float, 2>();
  for (int64_t k = 0; k < count; ++k) {
    for (int64_t s = 0; s < kSamples; ++s) brighten(pixels[k], at[k][s][0], at[k][s][1]);
  }
  return images;
}

}  // namespace benchmarks
