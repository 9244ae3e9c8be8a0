#pragma once

// Damped least squares of explicit rows, and their solution by QR.

#include <natgrad/solvers/least_squares.h>

#include "support/oracles.h"

namespace natgrad::testing {

constexpr int64_t kRowSize = 20;

/// R, t, x₀, σ.
struct RowProblem {
  Tensor rows, targets, centre;
  double shift = 0.5;

  LeastSquares problem() const {
    Root root;
    root.rows = rows.size(0);
    root.multiply = [R = rows](const Tensor& v) { return R.mv(v); };
    root.multiply_transposed = [R = rows](const Tensor& u) { return R.t().mv(u); };
    root.gram = [R = rows] { return R.mm(R.t()); };
    return {std::make_shared<Root>(root),
            rows.size(1),
            targets,
            shift,
            centre,
            centre.defined() ? rows.mv(centre) : Tensor()};
  }
  RowProblem in_float() const {
    const auto narrow = [](const Tensor& v) { return v.defined() ? v.to(torch::kFloat) : v; };
    return {narrow(rows), narrow(targets), narrow(centre), shift};
  }
};

inline RowProblem random_row_problem(int64_t rows, uint64_t seed, bool centred = true) {
  return {randn({rows, kRowSize}, seed), randn({rows}, seed + 1),
          centred ? randn({kRowSize}, seed + 2) : Tensor()};
}

/// min ½‖t - R x‖² + ½σ‖x - x₀‖²: the equations R x = t and √σ x = √σ x₀ in one.
inline Tensor by_qr(const RowProblem& of) {
  const double root = std::sqrt(of.shift);
  const auto identity = torch::eye(kRowSize, torch::kDouble);
  const auto x0 =
      of.centre.defined() ? of.centre.to(torch::kDouble) : torch::zeros_like(identity[0]);
  const auto [Q, U] = torch::linalg_qr(torch::cat({of.rows.to(torch::kDouble), root * identity}));
  const auto right = Q.t().mv(torch::cat({of.targets.to(torch::kDouble), root * x0}));
  return torch::linalg_solve_triangular(U, right.unsqueeze(1), /*upper=*/true).squeeze(1);
}

}  // namespace natgrad::testing
