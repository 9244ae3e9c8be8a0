#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

namespace natgrad {

/// h(θ) and h at trial points θ + d, on the batch that steps are judged by. The parameters are back
/// at θ after each call, bit for bit, and all calls see one function: random generators are
/// replayed.
class NATGRAD_EXPORT TrialLosses {
 public:
  virtual ~TrialLosses() = default;
  /// h(θ).
  virtual double start() = 0;
  /// h(θ + d) for d of [P]; may be NaN or infinite. One forward pass.
  virtual double at(const torch::Tensor& d) = 0;
  /// The same, and ∇h(θ + d), [P], into `gradient`. One forward and one backward pass.
  virtual double at(const torch::Tensor& d, torch::Tensor& gradient) = 0;
  /// t(θ + d), [r], of a loss h = ½‖t‖² of squared errors, whose R is -∂t/∂θ; undefined where that
  /// cannot be told. One forward pass.
  virtual torch::Tensor residuals(const torch::Tensor& /*d*/) { return {}; }
  /// What two values of h may differ by in rounding alone.
  virtual double rounding() { return 0; }
};

}  // namespace natgrad
