#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

#include <memory>
#include <string>

namespace natgrad {

class LossGraph;

/// A choice of curvature matrix for the quadratic model M(δ) = ½ δᵀC δ + ∇hᵀδ + h(θ).
class NATGRAD_EXPORT Curvature {
 public:
  virtual ~Curvature() = default;
  /// C for this loss at this θ, normalised as the loss is.
  virtual LinearOperator at(const LossGraph& graph) const = 0;
  /// Whether C cannot be formed without the loss's terms. One that says no takes any loss; its
  /// noise may still ask how many examples there are.
  virtual bool needs_terms() const { return true; }
  /// Whether the Hessian of the loss's penalties is to be added to C.
  virtual bool needs_penalties() const { return true; }
  /// One draw of the gradient noise that goes with it: an estimate of tr(C)/N for a mean over N
  /// examples; a 0-d tensor, ≥ 0 (see gradient_noise.h). By default vᵀCv/N with random signs v.
  virtual torch::Tensor noise(const LossGraph& graph, at::Generator generator) const;
  /// Name and settings; equal text means equal settings.
  virtual std::string describe() const = 0;
  virtual std::shared_ptr<const Curvature> clone() const = 0;
};

}  // namespace natgrad
