#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

#include <functional>
#include <memory>
#include <string>

namespace natgrad {

class LossGraph;

/// A curvature at one θ. Its parts share what was built for them, and keep the graph alive.
struct NATGRAD_EXPORT CurvatureAt {
  /// Draws an estimate of the gradient noise that goes with C, tr(C)/N for a mean over N examples;
  /// a 0-d tensor, ≥ 0 (see gradient_noise.h).
  using Noise = std::function<torch::Tensor(at::Generator generator)>;

  /// With vᵀCv/N, v of random signs, as the noise: one product a draw.
  CurvatureAt(const LossGraph& graph, LinearOperator C);
  /// With a noise of its own.
  CurvatureAt(LinearOperator C, Noise noise_of_C)
      : matrix(std::move(C)), noise(std::move(noise_of_C)) {}
  /// With a root that tells the gradient too.
  CurvatureAt(LinearOperator C, Noise noise_of_C, torch::Tensor t)
      : matrix(std::move(C)), noise(std::move(noise_of_C)), targets(std::move(t)) {}

  LinearOperator matrix;  ///< C, normalised as the loss is
  Noise noise;            ///< nothing is computed until it is called
  /// t of [r] with ∇h = -Rᵀt, penalties apart, for the R of C = RᵀR: then no backward pass is made
  /// for ∇h. Undefined where the rows do not tell.
  torch::Tensor targets = {};
  /// Which of several matrices it is, and why; for summaries.
  std::string choice = {};
};

/// A choice of curvature matrix for the quadratic model M(δ) = ½ δᵀC δ + ∇hᵀδ + h(θ). One of your
/// own has `at`, `describe` and `clone`:
///
///     CurvatureAt at(const LossGraph& graph) const override { return {graph, my_matrix(graph)}; }
class NATGRAD_EXPORT Curvature {
 public:
  virtual ~Curvature() = default;
  /// C for this loss at this θ, and its noise.
  virtual CurvatureAt at(const LossGraph& graph) const = 0;
  /// Whether C cannot be formed without the loss's terms. One that says no takes any loss; its
  /// noise may still ask how many examples there are.
  virtual bool needs_terms() const { return true; }
  /// Whether it may answer with `targets`, which tell ∇h: then C is evaluated before ∇h.
  virtual bool tells_gradient() const { return false; }
  /// t alone, as `at` would answer it, for a loss of squared errors: then R = -∂t/∂θ. Undefined for
  /// others.
  virtual torch::Tensor residuals(const LossGraph& /*graph*/) const { return {}; }
  /// Whether the Hessian of the loss's penalties is to be added to C.
  virtual bool needs_penalties() const { return true; }
  /// Name and settings; equal text means equal settings.
  virtual std::string describe() const = 0;
  /// A copy, as the optimizer keeps it.
  virtual std::shared_ptr<const Curvature> clone() const = 0;
};

}  // namespace natgrad
