#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>
#include <natgrad/linalg/parameters.h>

#include <functional>
#include <utility>
#include <vector>

namespace natgrad {

/// A metric that says in which units, or on which scale, parameters are measured: g = diag(sᵢ⁻²).
/// Without damping (`Tikhonov(0)`) the step is
///
///     θᵢ ← θᵢ - α sᵢ² ∂h/∂θᵢ,
///
/// and the same, whatever units the parameters are written in, if their scales are converted too:
///
/// ```cpp
/// const auto options = natgrad::NaturalGradientOptions(0.1)
///                          .curvature(natgrad::ParameterScales().scale({lengths}, 0.01))
///                          .damping(natgrad::Tikhonov(0));
/// ```
///
/// Any loss will do, as its terms are not read; its penalties' Hessian is not added.
class NATGRAD_EXPORT ParameterScales final : public Curvature {
 public:
  /// A characteristic size s of these parameters; of others it is 1. Throws unless s > 0 is finite,
  /// and if one of them has a scale already. `at` throws for one that is not the optimizer's,
  /// unless it is frozen.
  ParameterScales& scale(const std::vector<torch::Tensor>& parameters, double s);

  CurvatureAt at(const LossGraph& graph) const override;
  bool needs_terms() const override { return false; }
  bool needs_penalties() const override { return false; }
  std::string describe() const override;
  std::shared_ptr<const Curvature> clone() const override;

 private:
  std::vector<std::pair<torch::Tensor, double>> scales_;
};

/// A user's metric G(θ), symmetric positive definite: the step is -G⁻¹∇h, the direction of steepest
/// descent where a step's length is √(δᵀGδ). It is solved at once if the operator knows its inverse
/// (`LinearOperator::with_solve`), else as far as the solver's iterations go.
///
/// Any loss will do, as its terms are not read; its penalties' Hessian is not added.
class NATGRAD_EXPORT Metric final : public Curvature {
 public:
  /// G for the parameters in the layout's order at their present values, `layout.values()`.
  using AtParameters = std::function<LinearOperator(const ParameterLayout& layout)>;
  /// G for a loss, which may be asked for its terms.
  using AtLoss = std::function<LinearOperator(const LossGraph& graph)>;

  /// A metric that does not depend on θ.
  explicit Metric(LinearOperator G);
  /// One that does: the function is called once each step. `name` is for messages.
  Metric(std::string name, AtParameters G);
  /// The same of a loss.
  Metric(std::string name, AtLoss G);

  /// Throws if G's size, dtype or device is not that of the parameters.
  CurvatureAt at(const LossGraph& graph) const override;
  bool needs_terms() const override { return false; }
  bool needs_penalties() const override { return false; }
  std::string describe() const override;
  std::shared_ptr<const Curvature> clone() const override;

 private:
  std::string name_;
  AtLoss G_;
  int64_t number_;  // functions cannot be compared: each metric made is another, its copies are not
};

}  // namespace natgrad
