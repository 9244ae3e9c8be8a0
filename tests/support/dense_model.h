#pragma once

// The quadratic model that a step rule is shown, from an explicit matrix.

#include <natgrad/step_control/quadratic_model.h>

#include <stdexcept>

#include "support/oracles.h"

namespace natgrad::testing {

/// ∇hᵀv and vᵀC v.
struct DenseModel final : QuadraticModel {
  Tensor C, gradient;

  DenseModel(Tensor matrix, Tensor g) : C(std::move(matrix)), gradient(std::move(g)) {}
  double slope(const Tensor& v) const override { return gradient.dot(v).item<double>(); }
  double curvature(const Tensor& v) const override { return v.dot(C.mv(v)).item<double>(); }
};

/// For rules that have no use for one.
struct UnaskedModel final : QuadraticModel {
  double slope(const Tensor&) const override { throw std::logic_error("asked for a slope"); }
  double curvature(const Tensor&) const override { throw std::logic_error("asked for vᵀC v"); }
};

inline const QuadraticModel& unasked_model() {
  static const UnaskedModel model;
  return model;
}

}  // namespace natgrad::testing
