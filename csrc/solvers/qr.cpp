#include <fmt/format.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/qr.h>
#include <torch/torch.h>

#include <cmath>

#include "linalg/norm.h"
#include "solvers/row_solve.h"

namespace natgrad {
namespace {

using torch::Tensor;

// Beyond as many parameters a row the system of the rows is the smaller one.
constexpr int64_t kWide = 2;

void check_settings(const QR& options) {
  TORCH_CHECK(options.limit() >= 1, "natgrad: QR needs limit >= 1, but got ", options.limit(), ".");
}

/// U and q of [A, b] = Q [U, q; 0, ρ]: [min(r, P), P] and as long a column.
struct Factors {
  Tensor triangle, right;
};

Factors factors_of(const Tensor& matrix, const Tensor& right) {
  const auto columns = matrix.size(1), rows = std::min(matrix.size(0), columns);
  const auto reflected = std::get<0>(torch::geqrf(torch::cat({matrix, right.unsqueeze(1)}, 1)));
  return {reflected.slice(0, 0, rows).slice(1, 0, columns).triu(),
          reflected.slice(0, 0, rows).select(1, columns)};
}

/// y of min ‖q - U y‖² + σ‖y‖².
Tensor damped(const Factors& factors, double shift) {
  const auto size = factors.triangle.size(1);
  const auto options = factors.triangle.options();
  const auto damping = torch::eye(size, options).mul_(std::sqrt(shift));
  const auto whole = factors_of(torch::cat({factors.triangle, damping}),
                                torch::cat({factors.right, torch::zeros({size}, options)}));
  return torch::linalg_solve_triangular(whole.triangle, whole.right.unsqueeze(1), /*upper=*/true)
      .squeeze(1);
}

}  // namespace

Solution QR::solve(const LinearSystem& system) const {
  return Cholesky().limit(limit_).solve(system);
}

Solution QR::solve_by_rows(const LeastSquares& problem) const {
  const torch::NoGradGuard no_grad;
  check_settings(*this);
  const auto& root = *problem.root;
  const auto R = root.matrix().to(torch::kDouble);
  if (R.size(1) > kWide * R.size(0) && !problem.scales.defined()) {
    return solve_by_gram_matrix(problem);
  }
  const auto in_double = [](const Tensor& v) { return v.to(torch::kDouble); };
  const auto right = in_double(problem.centre.defined() ? problem.targets - problem.centre_product
                                                        : problem.targets);
  const auto scaled = problem.scales.defined() ? R / in_double(problem.scales) : R;
  const auto y = damped(factors_of(scaled, right), problem.shift);
  const auto dx = problem.scales.defined() ? y / in_double(problem.scales) : y;
  const auto product = R.mv(dx);

  Solution solution;
  const auto dtype = problem.targets.scalar_type();
  solution.x = dx.to(dtype);
  solution.product_in_rows = product.to(dtype);
  if (problem.centre.defined()) {
    solution.x = solution.x + problem.centre;
    solution.product_in_rows = solution.product_in_rows + problem.centre_product;
  }
  auto& summary = solution.summary;
  summary.iterations = summary.products = 1;
  const auto slope = scaled.t().mv(right);
  summary.right_hand_side = norm_in_double(slope);
  summary.residual = norm_in_double(slope - scaled.t().mv(product) - problem.shift * y);
  summary.quadratic = -0.5 * right.dot(product).item<double>();
  summary.termination =
      std::isfinite(norm_in_double(dx)) ? Termination::Converged : Termination::NonFinite;
  return solution;
}

std::string QR::describe() const { return fmt::format("QR(limit={})", limit_); }

std::shared_ptr<const Solver> QR::clone() const {
  check_settings(*this);
  return std::make_shared<QR>(*this);
}

}  // namespace natgrad
