#include "diagnostics/differences.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "diagnostics/health_checks.h"
#include "linalg/norm.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr double kSafety = 2;      // of the error, which is an estimate itself
constexpr double kRoundings = 10;  // of a loss or a gradient, sums over the batch
constexpr double kConclusive = 3;  // what is looked for has to be so much larger than the error

}  // namespace

Derivative derivative_of(const std::array<Tensor, 4>& values, const Tensor& at_zero, double step,
                         double size, double rounding) {
  const auto at = [&](size_t k) { return values[k].to(torch::kDouble); };
  const auto zero = at_zero.to(torch::kDouble);
  const auto one = (at(0) - at(1)) / (2 * step), two = (at(2) - at(3)) / (4 * step);
  // What a second difference over the step is of a smooth function grows with the step; of one that
  // has a kink it is the jump of its slope.
  const auto jump = (2 * (at(0) + at(1) - 2 * zero) - (at(2) + at(3) - 2 * zero) / 2) / step;
  return {(4 * one - two) / 3, norm_in_double(one - two) + norm_in_double(jump) / 2 +
                                   kRoundings * rounding * size / step};
}

HealthCheck held_against(std::string name, const Tensor& claimed, const Derivative& derivative,
                         double tolerance, std::string says) {
  const auto claim = claimed.to(torch::kDouble);
  const double gap = norm_in_double(claim - derivative.value);
  const double size = std::max(norm_in_double(claim), norm_in_double(derivative.value));
  if (size == 0) return judged(std::move(name), gap, tolerance, "");
  const double error = kSafety * derivative.error;
  if (kConclusive * error > size) {
    return inconclusive(std::move(name),
                        fmt::format("the differences are off by {:.2g} themselves, of {:.2g}: "
                                    "rounding, or a loss that is not smooth; try double, or "
                                    "another step()",
                                    error, size));
  }
  return judged(std::move(name), gap / size, tolerance + error / size, std::move(says));
}

}  // namespace natgrad::detail
