#include <fmt/format.h>
#include <natgrad/solvers/dual.h>
#include <torch/torch.h>

#include <cmath>

#include "solvers/linear_system.h"
#include "solvers/row_solve.h"

namespace natgrad {
namespace {

using torch::Tensor;

void check_settings(const Dual& options) {
  TORCH_CHECK(options.limit() >= 1, "natgrad: Dual needs limit >= 1, but got ", options.limit(),
              ".");
  TORCH_CHECK(options.tolerance() > 0 && options.tolerance() < 1,
              "natgrad: Dual's tolerance lies in (0, 1), but is ", options.tolerance(), ".");
  TORCH_CHECK(options.refinements() >= 0, "natgrad: Dual's refinements are >= 0, but are ",
              options.refinements(), ".");
}

const RootForm& checked_form(const Dual& options, const LinearOperator& A) {
  const auto& form = A.root_form();
  TORCH_CHECK(form, "natgrad: Dual solves with c RᵀR + lambda I, and ", A.name(),
              " does not know its R. Those of Fisher(), FisherOrGaussNewton(), GaussNewton() of a "
              "canonical loss, MonteCarloFisher() and EmpiricalFisher() do, where no weight is "
              "negative, dimension 0 of the outputs holds the examples, and nothing but lambda is "
              "added to them. Use natgrad::ConjugateGradient() or natgrad::Cholesky().");
  TORCH_CHECK(form->shift > 0, "natgrad: Dual divides by the damping lambda, but that of ",
              A.name(), " is ", form->shift,
              ". Choose a damping > 0, or natgrad::ConjugateGradient().");
  const auto rows = static_cast<double>(form->root->rows);
  TORCH_CHECK(form->root->rows <= options.limit(), "natgrad: Dual forms the Gram matrix of ",
              form->root->rows, " rows, above the limit of ", options.limit(),
              fmt::format(" ({:.2g} GB). ", 16e-9 * rows * rows),
              "Use natgrad::ConjugateGradient(), a smaller batch, or natgrad::Dual().limit(",
              form->root->rows, ").");
  return *form;
}

Tensor in_double(const Tensor& v) { return v.to(torch::kDouble); }

/// A⁻¹ by the lower factor L of RRᵀ + (λ/c) I = L Lᵀ: A⁻¹b = (b - Rᵀ(L Lᵀ)⁻¹R b)/λ.
struct Inverse {
  const RootForm& form;
  Tensor factor;

  Tensor operator()(const Tensor& b) const {
    const auto right = in_double(form.root->multiply(b)).unsqueeze(1);
    const auto half = torch::linalg_solve_triangular(factor, right, /*upper=*/false);
    const auto inner = torch::linalg_solve_triangular(factor.mT(), half, /*upper=*/true);
    const auto share = form.root->multiply_transposed(inner.squeeze(1).to(b.dtype()));
    return (b - share).div_(form.shift);
  }
};

/// x with A x and ‖b - A x‖.
struct Candidate {
  Tensor x, product, residual;
  double size = 0;
};

Candidate candidate(const LinearSystem& system, Tensor x) {
  Candidate result{std::move(x), {}, {}};
  result.product = system.matrix.multiply(result.x);
  result.residual = system.right_hand_side - result.product;
  result.size = norm_in_double(result.residual);
  return result;
}

Termination termination_of(double residual, double allowed) {
  if (!std::isfinite(residual)) return Termination::NonFinite;
  return residual <= allowed ? Termination::Converged : Termination::IterationLimit;
}

Solution solve_by(const Inverse& inverse, const LinearSystem& system, const Dual& options) {
  const auto& b = system.right_hand_side;
  const double size = norm_in_double(b), allowed = options.tolerance() * size;
  auto best = candidate(system, inverse(b));
  int64_t refinements = 0;
  while (best.size > allowed && refinements < options.refinements()) {
    ++refinements;
    auto next = candidate(system, best.x + inverse(best.residual));
    if (!(next.size < best.size)) break;
    best = std::move(next);
  }
  Solution solution{best.x, {}};
  auto& summary = solution.summary;
  summary.termination = termination_of(best.size, allowed);
  summary.iterations = 1 + refinements;
  summary.products = 2 * (1 + refinements);
  summary.residual = best.size;
  summary.right_hand_side = size;
  summary.quadratic = quadratic_of(best.x, best.product, b);
  return solution;
}

}  // namespace

bool has_dual(const LinearOperator& matrix) {
  return matrix.root_form() && matrix.root_form()->shift > 0;
}

Solution Dual::solve(const LinearSystem& system) const {
  torch::NoGradGuard no_grad;
  check_settings(*this);
  check_sizes(system);
  const auto& form = checked_form(*this, system.matrix);
  if (auto known = solution_without_products(system)) return *known;
  const auto gram = form.root->gram().to(torch::kDouble, /*non_blocking=*/false, /*copy=*/true);
  gram.diagonal().add_(form.shift / form.scale);
  // Symmetric: transposed it lies in memory as LAPACK takes it, and is copied faster.
  const auto [factor, info] = torch::linalg_cholesky_ex(gram.mT());
  if (info.item<int64_t>() != 0) {
    const bool is_finite = gram.isfinite().all().item<bool>();
    return zero_solution(system, is_finite ? Termination::Breakdown : Termination::NonFinite);
  }
  return solve_by({form, factor}, system, *this);
}

Solution Dual::solve_by_rows(const LeastSquares& problem) const {
  const torch::NoGradGuard no_grad;
  check_settings(*this);
  return solve_by_gram_matrix(problem);
}

Solution Dual::solve(const LinearOperator& matrix, const Tensor& right_hand_side) const {
  return solve({matrix, right_hand_side});
}

std::string Dual::describe() const {
  return fmt::format("Dual(limit={}, tolerance={}, refinements={})", limit_, tolerance_,
                     refinements_);
}

std::shared_ptr<const Solver> Dual::clone() const {
  check_settings(*this);
  return std::make_shared<Dual>(*this);
}

}  // namespace natgrad
