#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

namespace natgrad {

/// x = A⁻¹ b by whichever direct method has fewer unknowns: `Dual` for A = c RᵀR + λI with λ > 0
/// and a known R of fewer rows than A's, else `Cholesky`. Both throw, and report, as they do by
/// themselves.
class NATGRAD_EXPORT Direct final : public Solver {
 public:
  /// Unknowns at most: 4096 takes 0.3 GB and seconds.
  TORCH_ARG(int64_t, limit) = 4096;

 public:
  Solution solve(const LinearSystem& system) const override;
  /// The same for A x = b given plainly.
  Solution solve(const LinearOperator& matrix, const torch::Tensor& right_hand_side) const;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

}  // namespace natgrad
