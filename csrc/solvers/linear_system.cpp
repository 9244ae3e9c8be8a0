#include "solvers/linear_system.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad::detail {

using torch::Tensor;

void check_sizes(const LinearSystem& system) {
  const auto size = system.matrix.size();
  const auto check_vector = [&](const Tensor& v, const char* what) {
    TORCH_CHECK(v.dim() == 1 && v.numel() == size, "natgrad: ", what, " of the system with ",
                system.matrix.name(), " must be a vector of [", size, "], but got shape ",
                v.sizes(), ".");
  };
  check_vector(system.right_hand_side, "the right-hand side");
  if (system.initial.defined()) check_vector(system.initial, "the initial x");
  TORCH_CHECK(!system.preconditioner || system.preconditioner->size() == size,
              "natgrad: the preconditioner is not of the matrix' size.");
}

Solution zero_solution(const LinearSystem& system, Termination termination, int64_t products) {
  SolverSummary summary;
  summary.termination = termination;
  summary.products = products;
  summary.residual = summary.right_hand_side = norm_in_double(system.right_hand_side);
  return {torch::zeros_like(system.right_hand_side), summary};
}

std::optional<Solution> solution_without_products(const LinearSystem& system) {
  const double largest = largest_entry(system.right_hand_side);
  if (largest == 0) return zero_solution(system, Termination::Converged);
  if (!std::isfinite(largest)) return zero_solution(system, Termination::NonFinite);
  return std::nullopt;
}

double quadratic_of(const Tensor& x, const Tensor& product, const Tensor& b) {
  return x.to(torch::kDouble).dot((0.5 * product - b).to(torch::kDouble)).item<double>();
}

double largest_entry(const Tensor& v) {
  if (v.numel() == 0) return 0;
  const auto [least, most] = torch::aminmax(v);  // NaN if some number is
  const double low = -least.item<double>(), high = most.item<double>();
  return std::isnan(low) ? low : std::max(low, high);
}

void check_preconditioned(double rMr) {
  TORCH_CHECK(std::isfinite(rMr) && rMr > 0,
              "natgrad: the preconditioner is not positive definite: rᵀMr > 0 fails for a residual "
              "r (it is ",
              rMr, "). A preconditioner is M ≈ A⁻¹, positive definite and finite.");
}

}  // namespace natgrad::detail
