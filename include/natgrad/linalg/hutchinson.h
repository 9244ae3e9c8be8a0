#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/linalg/random.h>

namespace natgrad {

/// The distribution of the random probes v, with E[v vᵀ] = I.
enum class Probes {
  Rademacher,  ///< ±1: the smaller variance of the two, and none for a diagonal matrix
  Normal
};

/// A mean over random probes, and how far it may be off.
struct NATGRAD_EXPORT Estimate {
  torch::Tensor value;  ///< the mean
  /// Of `value`, from the spread over the probes and of its shape; NaN for a single probe.
  torch::Tensor standard_error;
};

/// tr A = E[vᵀA v] over M probes (Hutchinson 1990); 0-d tensors in double. Unbiased, with the
/// variance
///
///     2 Σ_{i≠j} a_ij² / M (Rademacher),  2‖A‖_F² / M (normal).
///
/// Costs M products. Throws for M < 1.
NATGRAD_EXPORT Estimate hutchinson_trace(const LinearOperator& A, int64_t probes,
                                         at::Generator generator, Probes kind = Probes::Rademacher);

/// diag A = E[v ⊙ A v] over M probes (Bekas, Kokiopoulou & Saad 2007); [P], in double. Unbiased,
/// with the variance of element i
///
///     Σ_{j≠i} a_ij² / M (Rademacher),  (a_ii² + Σ_j a_ij²) / M (normal).
///
/// Costs M products. Throws for M < 1.
NATGRAD_EXPORT Estimate hutchinson_diagonal(const LinearOperator& A, int64_t probes,
                                            at::Generator generator,
                                            Probes kind = Probes::Rademacher);

/// diag A, [P], by P products with unit vectors.
NATGRAD_EXPORT torch::Tensor exact_diagonal(const LinearOperator& A);

}  // namespace natgrad
