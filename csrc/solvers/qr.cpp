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

void check_limit(const QR& options, int64_t parameters) {
  TORCH_CHECK(parameters <= options.limit(),
              "natgrad: QR forms factors of [P, P], and P = ", parameters,
              " is above its limit of ", options.limit(),
              ". Use natgrad::ConjugateGradient(), which needs products only, or allow it with "
              "natgrad::QR().limit(",
              parameters, ").");
}

/// U and q of min ‖q - U x‖: [k, P] and [k].
struct Triangular {
  Tensor triangle, right;
};

/// U and Qᵀb of R = Q U, which have min(r, P) rows.
Triangular reduced(const Root& root, const Tensor& b) {
  const auto [reflectors, scales] =
      root.reflectors ? root.reflectors() : torch::geqrf(root.matrix().to(torch::kDouble));
  const auto rows = std::min(reflectors.size(0), reflectors.size(1));
  const auto rotated = torch::ormqr(reflectors, scales, b.unsqueeze(1), /*left=*/true,
                                    /*transpose=*/true);
  return {reflectors.narrow(0, 0, rows).triu(), rotated.squeeze(1).narrow(0, 0, rows)};
}

/// y of min ‖q - U y‖² + σ‖y‖².
Tensor solve_damped(const Triangular& problem, double shift) {
  const auto size = problem.triangle.size(1);
  const auto options = problem.triangle.options();
  const auto damping = torch::eye(size, options).mul_(std::sqrt(shift));
  const auto right = torch::cat({problem.right, torch::zeros({size}, options)}).unsqueeze(1);
  const auto whole = torch::cat({torch::cat({problem.triangle, damping}), right}, 1);
  const auto factors = std::get<0>(torch::geqrf(whole)).narrow(0, 0, size);
  return torch::linalg_solve_triangular(factors.narrow(1, 0, size), factors.narrow(1, size, 1),
                                        /*upper=*/true)
      .squeeze(1);
}

}  // namespace

Solution QR::solve(const LinearSystem& system) const {
  return Cholesky().limit(limit_).solve(system);
}

Solution QR::solve_by_rows(const LeastSquares& problem) const {
  const torch::NoGradGuard no_grad;
  check_limit(*this, problem.parameters);
  const auto& root = *problem.root;
  const auto R = root.matrix().to(torch::kDouble);
  if (R.size(1) > kWide * R.size(0) && !problem.scales.defined()) {
    return solve_by_gram_matrix(problem);
  }
  const auto in_double = [](const Tensor& v) { return v.to(torch::kDouble); };
  const auto right = in_double(problem.centre.defined() ? problem.targets - problem.centre_product
                                                        : problem.targets);
  auto factored = reduced(root, right);
  const auto d = problem.scales.defined() ? in_double(problem.scales)
                                          : torch::ones({R.size(1)}, right.options());
  factored.triangle.div_(d);
  const auto y = solve_damped(factored, problem.shift);
  const auto dx = y / d;
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
  const auto slope = R.t().mv(right) / d;
  summary.right_hand_side = norm_in_double(slope);
  summary.residual = norm_in_double(R.t().mv(right - product) / d - problem.shift * y);
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
