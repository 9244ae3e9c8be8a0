#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <torch/arg.h>

namespace natgrad {

/// Which end of the spectrum leads.
enum class Leading {
  ByMagnitude,  ///< the largest |λ|
  Algebraic     ///< the largest λ
};

/// Options of `leading_eigenpairs`.
struct NATGRAD_EXPORT LanczosOptions {
  /// k, from 1 to P.
  TORCH_ARG(int64_t, count) = 1;
  /// Which eigenvalues count as leading.
  TORCH_ARG(Leading, leading) = Leading::ByMagnitude;
  /// Products at most, ≥ k, without the k that give the residuals; as many vectors of [P] are held.
  TORCH_ARG(int64_t, max_iterations) = 300;
  /// Residuals to reach, relative to the largest |λ|, in [0, 1); 100 times the dtype's rounding is
  /// the least.
  TORCH_ARG(double, tolerance) = 1e-8;
  /// Of the random starts.
  TORCH_ARG(uint64_t, seed) = 0;
};

/// A few eigenvalues θᵢ and eigenvectors xᵢ of a symmetric matrix, the leading first.
struct NATGRAD_EXPORT Eigenpairs {
  torch::Tensor values;   ///< [k], descending (by magnitude if asked so)
  torch::Tensor vectors;  ///< [P, k], orthonormal columns
  /// ‖A xᵢ - θᵢ xᵢ‖, [k]: some eigenvalue of A lies within it of θᵢ (Parlett 1980, section 4.5).
  torch::Tensor residuals;
  int64_t products = 0;  ///< with A, in all
  /// Whether all residuals meet the tolerance and no larger eigenvalue was found beside these.
  bool converged = false;
};

/// The k leading eigenpairs of a symmetric A by Lanczos iteration with full reorthogonalisation
/// (Golub & Van Loan 2013, section 10.3; Parlett 1980, chapter 13): in an orthonormal basis of
/// span{v, A v, A²v, ...} A is tridiagonal, and that matrix's leading eigenpairs are A's.
///
/// Such a basis holds one vector of each eigenspace. What it has found is therefore put aside, and
/// a fresh random vector orthogonal to it starts a further run, until a run shows no eigenvalue
/// that leads these: so repeated eigenvalues are found, and an invariant subspace is no end. Such a
/// run need not converge: it ends once it would have shown one with a probability of 1 - 1e-10
/// (Kuczyński & Woźniakowski 1992).
///
/// Costs one product an iteration and one for each residual. Throws for options out of range and
/// products that are not finite.
NATGRAD_EXPORT Eigenpairs leading_eigenpairs(const LinearOperator& A,
                                             const LanczosOptions& options = {});

}  // namespace natgrad
