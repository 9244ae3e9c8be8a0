#include "solvers/known_inverse.h"
#include <torch/torch.h>

#include <cmath>

#include "solvers/linear_system.h"

namespace natgrad::detail {

namespace {

Termination termination_by_curvature(double residual, double curvature) {
  if (!std::isfinite(residual)) return Termination::NonFinite;
  return curvature < 0 ? Termination::NegativeCurvature : Termination::Converged;
}

}  // namespace

Solution solve_directly(const LinearSystem& system) {
  const auto& b = system.right_hand_side;
  const auto x = system.matrix.solve(b);
  const auto product = system.matrix.multiply(x);
  Solution solution{x, {}};
  auto& summary = solution.summary;
  summary.products = 1;
  summary.right_hand_side = norm_in_double(b);
  summary.residual = norm_in_double(b - product);
  summary.quadratic = quadratic_of(x, product, b);
  summary.termination = termination_by_curvature(summary.residual, x.dot(product).item<double>());
  return solution;
}

}  // namespace natgrad::detail
