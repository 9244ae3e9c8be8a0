#pragma once

#include <natgrad/damping/damping.h>
#include <natgrad/export.h>
#include <torch/arg.h>

namespace natgrad {

/// (C + λI) δ = -∇h with a fixed λ: minus the natural gradient as λ → 0, -∇h/λ as λ → ∞ (Martens,
/// section 9).
class NATGRAD_EXPORT Tikhonov final : public Damping {
 public:
  /// λ ≥ 0, in units of the curvature.
  explicit Tikhonov(double lambda);

  double lambda() const override { return lambda_; }
  std::string describe() const override;
  std::unique_ptr<Damping> clone() const override;

 private:
  double lambda_;
};

}  // namespace natgrad
