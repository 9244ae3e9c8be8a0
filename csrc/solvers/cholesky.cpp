#include <fmt/format.h>
#include <natgrad/solvers/cholesky.h>
#include <torch/torch.h>

#include <algorithm>

#include "solvers/linear_system.h"

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

}  // namespace

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
