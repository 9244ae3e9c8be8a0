#include <fmt/format.h>
#include <natgrad/solvers/cholesky.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "libtorch/plain_arithmetic.h"
#include "solvers/linear_system.h"
#include "solvers/row_solve.h"

namespace natgrad {
namespace {

using torch::Tensor;

// Columns of the identity multiplied at once: bounds the memory of A's own intermediate results.
constexpr int64_t kColumns = 256;
// A backward stable solve leaves a residual above this share of ‖b‖ only if A is singular.
constexpr double kSolved = 1e-6;

void check_settings(const Cholesky& options) {
  TORCH_CHECK(options.limit() >= 1, "natgrad: Cholesky needs limit >= 1, but got ", options.limit(),
              ".");
}

void check_limit(const Cholesky& options, const LinearOperator& A) {
  const double size = static_cast<double>(A.size());
  TORCH_CHECK(A.size() <= options.limit(), "natgrad: Cholesky forms the matrix of [P, P], and ",
              A.name(), " has P = ", A.size(), ", above the limit of ", options.limit(),
              fmt::format(" ({:.2g} GB). ", 16e-9 * size * size),
              "Use natgrad::ConjugateGradient(), which needs products only, or allow it with "
              "natgrad::Cholesky().limit(",
              A.size(), ").");
}

/// A in double, its two triangles averaged.
Tensor explicit_matrix(const LinearOperator& A) {
  const int64_t size = A.size();
  auto matrix = torch::empty({size, size}, A.options().dtype(torch::kDouble));
  for (int64_t begin = 0; begin < size; begin += kColumns) {
    const int64_t count = std::min(kColumns, size - begin);
    auto columns = torch::zeros({size, count}, A.options());
    columns.narrow(0, begin, count).fill_diagonal_(1);
    matrix.narrow(1, begin, count).copy_(A.multiply(columns));
  }
  return matrix.add(matrix.t()).mul_(0.5);
}

Solution solve_explicit(const LinearSystem& system, const Tensor& A) {
  const int64_t products = A.size(0);
  if (!A.isfinite().all().item<bool>()) {
    return zero_solution(system, Termination::NonFinite, products);
  }
  const auto [factor, info] = torch::linalg_cholesky_ex(A);
  if (info.item<int64_t>() != 0) {
    return zero_solution(system, Termination::NegativeCurvature, products);
  }
  const auto b = system.right_hand_side.to(torch::kDouble);
  const auto exact = torch::cholesky_solve(b.unsqueeze(1), factor).squeeze(1);
  const double size = norm_in_double(b);
  if (!(norm_in_double(b - A.mv(exact)) <= kSolved * size)) {
    return zero_solution(system, Termination::Breakdown, products);
  }
  Solution solution{exact.to(system.right_hand_side.scalar_type()), {}};
  const auto x = solution.x.to(torch::kDouble);
  const auto product = A.mv(x);
  auto& summary = solution.summary;
  summary.termination = Termination::Converged;
  summary.products = products;
  summary.residual = norm_in_double(b - product);
  summary.right_hand_side = size;
  summary.quadratic = x.dot(0.5 * product - b).item<double>();
  return solution;
}

// RᵀR is symmetric: by bands of so many columns, of which only the rows from the diagonal on are
// formed, it takes little more than half of the products.
constexpr int64_t kBandOfColumns = 128;

/// The lower triangle of RᵀR in R's dtype, and parts of blocks on its diagonal above.
Tensor lower_normal_matrix(const Tensor& R) {
  const auto size = R.size(1);
  auto matrix = torch::zeros({size, size}, R.options());
  for (int64_t begin = 0; begin < size; begin += kBandOfColumns) {
    const auto columns = R.narrow(1, begin, std::min(kBandOfColumns, size - begin));
    const auto band = R.narrow(1, begin, size - begin).t().mm(columns);
    matrix.narrow(0, begin, size - begin).narrow(1, begin, columns.size(1)).copy_(band);
  }
  return matrix;
}

/// That, in double unless R is in float32 and this leaves enough of a solve with RᵀR + σI.
Tensor lower_matrix_for(const Tensor& R, double shift) {
  const auto matrix = lower_normal_matrix(R);
  if (R.scalar_type() == torch::kDouble) return matrix;
  // Of a positive semidefinite matrix, no eigenvalue is larger.
  const double bound = matrix.norm().item<double>() * std::numbers::sqrt2;
  return is_for_float(bound, shift) ? matrix : lower_normal_matrix(R.to(torch::kDouble));
}

/// A factor of RᵀR + σI; undefined where a pivot is not positive.
Tensor normal_factor(const Tensor& R, double shift) {
  const auto matrix = lower_matrix_for(R, shift);
  matrix.diagonal().add_(shift);
  const auto [factor, info] = torch::linalg_cholesky_ex(matrix);
  return info.item<int64_t>() == 0 ? factor : Tensor();
}

/// The solution x₀ + y, where y is 0 unless the solve `Converged`.
Solution solution_of_rows(const LeastSquares& problem, const Tensor& right, const Tensor& y,
                          Termination termination) {
  const auto R = problem.root->matrix();
  const auto dtype = R.scalar_type();
  const auto product = R.mv(y.to(dtype)), slope = R.t().mv(right);
  Solution solution{y.to(dtype), {}};
  solution.product_in_rows = product;
  if (problem.centre.defined()) {
    solution.x = solution.x + problem.centre;
    solution.product_in_rows = product + problem.centre_product;
  }
  auto& summary = solution.summary;
  summary.termination = termination;
  summary.iterations = summary.products = 1;
  summary.right_hand_side = norm_in_double(slope);
  summary.residual = norm_in_double(slope - R.t().mv(product) - problem.shift * y.to(dtype));
  summary.quadratic = -0.5 * right.dot(product).item<double>();
  return solution;
}

}  // namespace

bool Cholesky::solves_by_rows(const Root& root) const {
  return root.matrix && std::min(root.rows, root.matrix().size(1)) <= limit_;
}

Solution Cholesky::solve_by_rows(const LeastSquares& problem) const {
  const torch::NoGradGuard no_grad;
  const PlainArithmetic plain;
  check_settings(*this);
  if (!solves_by_rows(*problem.root)) return Solver::solve_by_rows(problem);  // which throws
  const auto R = problem.root->matrix();
  if (R.size(0) < R.size(1)) return solve_by_gram_matrix(problem);
  const auto right =
      problem.centre.defined() ? problem.targets - problem.centre_product : problem.targets;
  const auto slope = R.t().mv(right);
  const auto factor = normal_factor(R, problem.shift);
  auto y = torch::zeros_like(slope);
  if (factor.defined()) {
    const auto b = slope.to(factor.scalar_type()).unsqueeze(1);
    y = torch::cholesky_solve(b, factor).squeeze(1);
  }
  const bool is_finite = std::isfinite(norm_in_double(slope) + norm_in_double(y));
  const auto failure = is_finite ? Termination::Breakdown : Termination::NonFinite;
  const bool is_solved = factor.defined() && is_finite;
  return solution_of_rows(problem, right, y, is_solved ? Termination::Converged : failure);
}

Solution Cholesky::solve(const LinearSystem& system) const {
  torch::NoGradGuard no_grad;
  check_settings(*this);
  check_sizes(system);
  check_limit(*this, system.matrix);
  if (auto known = solution_without_products(system)) return *known;
  return solve_explicit(system, explicit_matrix(system.matrix));
}

Solution Cholesky::solve(const LinearOperator& matrix, const Tensor& right_hand_side) const {
  return solve({matrix, right_hand_side});
}

std::string Cholesky::describe() const { return fmt::format("Cholesky(limit={})", limit_); }

std::shared_ptr<const Solver> Cholesky::clone() const {
  check_settings(*this);
  return std::make_shared<Cholesky>(*this);
}

}  // namespace natgrad
