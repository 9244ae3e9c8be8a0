#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>

#include <string>

namespace natgrad::detail {

/// Parameters at most for what forms a matrix of [P, P] and its eigenvalues: 2048 take seconds.
inline constexpr int64_t kLargestMatrix = 2048;

/// Throws unless P is at most that; `instead`: what to do.
void check_fits_matrix(int64_t size, const std::string& what, const std::string& instead);

/// The operator's matrix, [P, P], in double on the CPU, symmetric to the bit.
torch::Tensor explicit_matrix(const LinearOperator& A);

/// The largest of these sizes over the smallest; infinite if that is zero.
double ratio_of(const torch::Tensor& sizes);

/// C = V diag(λ) Vᵀ, for solves.
class Spectrum {
 public:
  /// `cutoff`: eigenvalues of no more than this share of the largest in size count as zero.
  Spectrum(const torch::Tensor& C, double cutoff);

  /// (C + σI)⁻¹ b; for σ = 0 on the range of C, the least x of those with C x = b where b lies in
  /// it.
  torch::Tensor solve(const torch::Tensor& b, double shift = 0) const;
  /// How many eigenvalues count.
  int64_t rank() const { return values_.numel(); }
  /// The largest of them over the smallest, in size.
  double condition() const { return condition_; }

 private:
  torch::Tensor values_, vectors_;
  double condition_;
};

}  // namespace natgrad::detail
