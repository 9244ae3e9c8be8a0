#pragma once

#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/linear_operator.h>

#include <memory>
#include <string>

namespace natgrad {

/// A choice of curvature matrix for the quadratic model M(δ) = ½ δᵀC δ + ∇hᵀδ + h(θ).
class Curvature {
 public:
  virtual ~Curvature() = default;
  /// C for this loss at this θ, normalised as the loss is.
  virtual LinearOperator at(const LossGraph& graph) const = 0;
  /// Whether `at` or `noise` ask for the loss's terms; one that does not takes any loss.
  virtual bool needs_terms() const { return true; }
  /// Whether C holds the Hessian of the loss's penalties already, or wants none added.
  virtual bool includes_penalties() const { return false; }
  /// One draw of the gradient noise that goes with it: an estimate of tr(C)/N for a mean over N
  /// examples; a 0-d tensor, ≥ 0 (see gradient_noise.h).
  virtual torch::Tensor noise(const LossGraph& graph, at::Generator generator) const = 0;
  /// Name and settings; equal text means equal settings.
  virtual std::string describe() const = 0;
  virtual std::shared_ptr<const Curvature> clone() const = 0;
};

}  // namespace natgrad
