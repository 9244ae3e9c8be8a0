#pragma once

// Independent routes to what conjugate gradients should give: dense projection onto the Krylov
// subspace, and the recurrence as a textbook prints it, with no safeguard.

#include <vector>

#include "support/oracles.h"

namespace natgrad::testing {

inline double length(const Tensor& v) { return v.norm().item<double>(); }

/// φ(x) = ½ xᵀAx - bᵀx.
inline double quadratic(const Tensor& a, const Tensor& b, const Tensor& x) {
  return (0.5 * x.dot(a.mv(x)) - b.dot(x)).item<double>();
}

inline double residual_norm(const Tensor& a, const Tensor& b, const Tensor& x) {
  return length(b - a.mv(x));
}

/// Orthonormal basis [n, k] of span{r, (MA) r, ..., (MA)^{k-1} r}, orthogonalised twice.
inline Tensor krylov_basis(const Tensor& ma, const Tensor& r, int64_t k) {
  std::vector<Tensor> columns = {r / r.norm()};
  while (static_cast<int64_t>(columns.size()) < k) {
    const auto basis = torch::stack(columns, 1);
    auto next = ma.mv(columns.back());
    for (int pass = 0; pass < 2; ++pass) next = next - basis.mv(basis.t().mv(next));
    columns.push_back(next / next.norm());
  }
  return torch::stack(columns, 1);
}

/// The minimiser of φ over x₀ + span{M r₀, ..., (MA)^{k-1} M r₀}, r₀ = b - A x₀, by a dense solve.
inline Tensor krylov_minimiser(const Tensor& a, const Tensor& b, int64_t k, const Tensor& x0,
                               const Tensor& m) {
  if (k == 0) return x0;
  const auto r = b - a.mv(x0);
  const auto basis = krylov_basis(m.mm(a), m.mv(r), k);
  return x0 + basis.mv(torch::linalg_solve(basis.t().mm(a).mm(basis), basis.t().mv(r)));
}

inline Tensor krylov_minimiser(const Tensor& a, const Tensor& b, int64_t k) {
  return krylov_minimiser(a, b, k, torch::zeros_like(b), torch::eye(b.numel(), b.options()));
}

/// Iterates x₀ = 0, x₁, ... of the bare recurrence and the residual norms that it believes in.
struct TextbookRun {
  std::vector<Tensor> x;
  std::vector<double> residual;
};

inline TextbookRun textbook_cg(const Tensor& a, const Tensor& b, int iterations) {
  TextbookRun run{{torch::zeros_like(b)}, {length(b)}};
  auto r = b.clone();
  auto p = r.clone();
  for (int i = 0; i < iterations; ++i) {
    const auto ap = a.mv(p);
    const double rr = r.dot(r).item<double>();
    const double alpha = rr / p.dot(ap).item<double>();
    run.x.push_back(run.x.back() + alpha * p);
    r = r - alpha * ap;
    run.residual.push_back(length(r));
    p = r + r.dot(r).item<double>() / rr * p;
  }
  return run;
}

}  // namespace natgrad::testing
