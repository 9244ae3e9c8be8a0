#include "solvers/in_range.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "linalg/norm.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Between these norms the squares of a vector's numbers, and products of its curvature, have room.
constexpr double kLeast = 1e-12, kLargest = 1e12;
// What float32 holds with room, as an exponent of two.
constexpr int kLargestPower = 100;

/// The powers of two by which to multiply one after the other for 2^exponent.
std::vector<double> factors_of(int exponent) {
  std::vector<double> factors;
  while (exponent != 0) {
    const int power = std::clamp(exponent, -kLargestPower, kLargestPower);
    factors.push_back(std::ldexp(1., power));
    exponent -= power;
  }
  return factors;
}

LinearOperator scaled(LinearOperator A, int exponent) {
  for (const double factor : factors_of(exponent)) A = factor * A;
  return A;
}

Tensor scaled(Tensor b, int exponent) {
  for (const double factor : factors_of(exponent)) b = b * factor;
  return b;
}

}  // namespace

Solution solve_in_range(const Solver& solver, const LinearSystem& system) {
  const bool has_room = system.right_hand_side.scalar_type() == torch::kDouble;
  const double norm = has_room ? 1 : norm_in_double(system.right_hand_side);
  const bool is_in_range =
      norm == 0 || !std::isfinite(norm) || (norm >= kLeast && norm <= kLargest);
  if (is_in_range) return solver.solve(system);
  const int exponent = -std::ilogb(norm);
  LinearSystem other = system;
  other.matrix = scaled(system.matrix, exponent);
  other.right_hand_side = scaled(system.right_hand_side, exponent);
  if (system.preconditioner) other.preconditioner = scaled(*system.preconditioner, -exponent);
  auto solution = solver.solve(other);
  auto& summary = solution.summary;
  for (double* number : {&summary.residual, &summary.right_hand_side, &summary.quadratic}) {
    *number = std::ldexp(*number, -exponent);
  }
  return solution;
}

}  // namespace natgrad::detail
