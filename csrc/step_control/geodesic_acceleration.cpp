#include <fmt/format.h>
#include <natgrad/step_control/geodesic_acceleration.h>
#include <torch/torch.h>

#include <cmath>

#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

// The share of δ at which residuals are looked at: the difference's error of first order against
// its rounding, 1/ε² of theirs.
constexpr double kLook = 0.1;

/// t_δδ; undefined where residuals cannot be told there, or are not finite.
Tensor second_derivative(const StepProblem& problem) {
  const auto there = problem.trials->residuals(kLook * problem.solution.x);
  if (!there.defined()) return {};
  const auto second =
      ((there - problem.rows->targets) / kLook + problem.solution.product_in_rows).mul_(2 / kLook);
  return std::isfinite(norm_in_double(second)) ? second : Tensor();
}

double size_of(const Tensor& v, const RowSystem& rows) {
  return norm_in_double(rows.scales.defined() ? v * rows.scales : v);
}

}  // namespace

Step GeodesicAcceleration::choose(const StepProblem& problem) {
  const auto& delta = problem.solution.x;
  const Step straight{problem.at_rate(delta), delta};
  if (!problem.rows || !problem.trials || limit_ == 0) return straight;
  const auto second = second_derivative(problem);
  if (!second.defined()) return straight;
  const auto a = problem.rows->solve(second);
  if (!(2 * size_of(a, *problem.rows) <= limit_ * size_of(delta, *problem.rows))) {
    return {.displacement = {}, .kept = {}, .found = false};
  }
  Step bent{problem.at_rate(delta + 0.5 * a), delta};
  bent.promised = straight.displacement;
  return bent;
}

std::string GeodesicAcceleration::describe() const {
  return fmt::format("GeodesicAcceleration(limit={})", limit_);
}

std::unique_ptr<StepRule> GeodesicAcceleration::clone() const {
  TORCH_CHECK(limit_ >= 0, "natgrad: GeodesicAcceleration's limit is >= 0, but is ", limit_, ".");
  return std::make_unique<GeodesicAcceleration>(*this);
}

}  // namespace natgrad
