#include "solvers/row_solve.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "libtorch/plain_arithmetic.h"
#include "linalg/norm.h"

namespace natgrad::detail {

namespace {

using torch::Tensor;

// Above this condition number the factor is made in double: float32 would leave more than 1e-3 of
// the solution wrong.
constexpr double kConditionOfFloat = 1e4;

Tensor initial_residual(const LeastSquares& problem) {
  return problem.centre.defined() ? problem.targets - problem.centre_product : problem.targets;
}

/// Rᵀu for u in double: scaled meanwhile, as u may be out of the range of R's numbers.
Tensor pulled_back(const Root& root, const Tensor& u, at::ScalarType dtype) {
  if (u.scalar_type() == dtype) return root.multiply_transposed(u);
  const double largest = u.abs().max().item<double>();
  const double scale = largest > 0 ? largest : 1;
  return root.multiply_transposed((u / scale).to(dtype)).mul_(scale);
}

/// x = x₀ + Rᵀu, with what is known of the solve; `product`: RRᵀu.
Solution solution_of(const LeastSquares& problem, const Tensor& right, const Tensor& u,
                     const Tensor& product, SolverSummary summary) {
  Solution solution;
  const auto dtype = problem.targets.scalar_type();
  solution.x = pulled_back(*problem.root, u, dtype);
  solution.product_in_rows = product.to(dtype);
  if (problem.centre.defined()) {
    solution.x.add_(problem.centre);
    solution.product_in_rows = solution.product_in_rows + problem.centre_product;
  }
  summary.right_hand_side = norm_in_double(right);
  summary.residual = norm_in_double(torch::sub(right - product, u, problem.shift));
  // φ(x) - φ(x₀) = -½ (t - R x₀)ᵀ RRᵀu.
  summary.quadratic = -0.5 * right.dot(product).item<double>();
  solution.summary = summary;
  return solution;
}

Solution no_solution(const LeastSquares& problem, Termination termination) {
  Solution solution;
  solution.x = problem.root->multiply_transposed(torch::zeros_like(problem.targets));
  solution.product_in_rows = torch::zeros_like(problem.targets);
  solution.summary.termination = termination;
  return solution;
}

Solution solve_in(at::ScalarType dtype, const LeastSquares& problem) {
  const auto right = initial_residual(problem).to(dtype);
  const auto gram = problem.root->gram().to(dtype);
  const auto matrix = gram.clone();
  matrix.diagonal().add_(problem.shift);
  // Symmetric: transposed it lies in memory as LAPACK takes it. Its LU factors are made no slower
  // than LibTorch's Cholesky factor, which is copied to a triangle first, and need one call.
  const auto [u, info] = torch::linalg_solve_ex(matrix.mT(), right);
  if (info.item<int64_t>() != 0) return no_solution(problem, Termination::Breakdown);
  SolverSummary summary;
  summary.iterations = summary.products = 1;
  auto solution = solution_of(problem, right, u, gram.mv(u), summary);
  const bool is_finite =
      std::isfinite(solution.summary.residual) && std::isfinite(norm_in_double(solution.x));
  solution.summary.termination = is_finite ? Termination::Converged : Termination::NonFinite;
  return solution;
}

}  // namespace

double share_of_others(const LeastSquares& problem) {
  const PlainArithmetic plain;
  const auto squares = initial_residual(problem).to(torch::kDouble).square();
  const double all = squares.sum().item<double>(), largest = squares.max().item<double>();
  return all > 0 ? std::sqrt(std::max(all - largest, 0.) / all) : 1;
}

bool is_for_float(double bound, double shift) { return 1 + bound / shift <= kConditionOfFloat; }

Solution solve_by_gram_matrix(const LeastSquares& problem) {
  const PlainArithmetic plain;
  const double trace = problem.root->gram().trace().item<double>();
  if (!std::isfinite(1 + trace / problem.shift))
    return no_solution(problem, Termination::NonFinite);
  const bool is_in_range = problem.shift < largest_number_of(problem.targets.options());
  if (is_for_float(trace, problem.shift) && is_in_range) {
    const auto solution = solve_in(problem.targets.scalar_type(), problem);
    if (solution.summary.termination == Termination::Converged) return solution;
  }
  return solve_in(torch::kDouble, problem);  // also where numbers leave the range of float32
}

Solution solve_by_row_products(const LeastSquares& problem, const ConjugateGradient& solver) {
  const auto& root = *problem.root;
  const auto right = initial_residual(problem);
  const auto multiply = [&root](const Tensor& u) {
    return root.multiply(root.multiply_transposed(u));
  };
  const LinearOperator gram("the Gram matrix of rows", root.rows, right.options(), multiply);
  const auto solved = solver.solve(gram + problem.shift, right);
  return solution_of(problem, right, solved.x, multiply(solved.x), solved.summary);
}

}  // namespace natgrad::detail
