#pragma once

#include <natgrad/export.h>
#include <torch/types.h>

namespace natgrad {

/// M(v) = h + ∇hᵀv + ½ vᵀC v on the step's batch, without damping, along single directions.
class NATGRAD_EXPORT QuadraticModel {
 public:
  virtual ~QuadraticModel() = default;
  /// ∇hᵀv for v of [P]. Where rows R tell C and ∇h, R v, else no pass.
  virtual double slope(const torch::Tensor& v) const = 0;
  /// vᵀC v. R v, or half a product with C.
  virtual double curvature(const torch::Tensor& v) const = 0;
};

}  // namespace natgrad
