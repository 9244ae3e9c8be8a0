#include <fmt/format.h>
#include <natgrad/solvers/approximate_inverse.h>
#include <torch/torch.h>

#include <limits>

#include "linalg/norm.h"
#include "solvers/linear_system.h"

namespace natgrad {
namespace {

using torch::Tensor;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// The residual and φ of the system divided by `scale`, for its x.
void fill_residual(const LinearOperator& A, const Tensor& b, const Tensor& x, double scale,
                   SolverSummary& summary) {
  const Tensor product = A.multiply(x);
  summary.products = 1;
  summary.residual = norm_in_double(b - product) * scale;
  summary.quadratic = quadratic_of(x, product, b) * scale * scale;
}

}  // namespace

Solution ApproximateInverse::solve(const LinearSystem& system) const {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(system.preconditioner,
              "natgrad: ApproximateInverse multiplies by a preconditioner, but the system with ",
              system.matrix.name(),
              " has none. Give the optimizer one, such as KroneckerFactored, or take another "
              "solver, such as ConjugateGradient.");
  check_sizes(system);
  if (auto known = solution_without_products(system)) return *known;
  const double scale = largest_entry(system.right_hand_side);
  const Tensor b = system.right_hand_side / scale;
  const Tensor x = system.preconditioner->multiply(b);
  if (!x.isfinite().all().item<bool>()) return zero_solution(system, Termination::NonFinite);
  check_preconditioned(dot_in_double(x, b));
  SolverSummary summary;
  summary.termination = Termination::IterationLimit;
  summary.iterations = 1;
  summary.residual = summary.quadratic = kUnknown;
  summary.right_hand_side = norm_in_double(b) * scale;
  if (check_) fill_residual(system.matrix, b, x, scale, summary);
  return {x * scale, summary};
}

std::string ApproximateInverse::describe() const {
  return fmt::format("ApproximateInverse(check={})", check_);
}

std::shared_ptr<const Solver> ApproximateInverse::clone() const {
  return std::make_shared<ApproximateInverse>(*this);
}

}  // namespace natgrad
