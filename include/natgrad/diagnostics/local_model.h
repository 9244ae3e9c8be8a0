#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/step_control/quadratic_model.h>

#include <functional>
#include <string>
#include <vector>

namespace natgrad {

/// The local quadratic model of a loss, without damping,
///
///     M(δ) = h + ∇hᵀδ + ½ δᵀC δ
///
/// (Martens, "New perspectives", sections 3, 9 and 11), at the θ of the graph, which it keeps.
class NATGRAD_EXPORT LocalModel final : public QuadraticModel {
 public:
  /// With this C as it is.
  LocalModel(const LossGraph& graph, LinearOperator C);

  /// h.
  double loss() const;
  /// M(δ), for δ of [P]: a product with C, and on first use a backward pass.
  double operator()(const torch::Tensor& delta) const { return loss() + change(delta); }
  /// M(δ) - h.
  double change(const torch::Tensor& delta) const;
  /// ∇hᵀv.
  double slope(const torch::Tensor& v) const override;
  /// vᵀC v.
  double curvature(const torch::Tensor& v) const override;

  /// C.
  const LinearOperator& matrix() const { return C_; }
  /// That of the loss.
  const LossGraph& graph() const { return graph_; }

 private:
  LossGraph graph_;
  LinearOperator C_;
};

/// With that C, and the Hessian of the loss's penalties where it goes with it.
///
/// ```cpp
/// const auto M = natgrad::quadratic_model(graph);
/// const double promise = M.change(0.1 * v), share = promise / natgrad::bound(graph);
/// ```
///
/// C is normalised as the loss is. Throws as the curvature does.
NATGRAD_EXPORT LocalModel quadratic_model(const LossGraph& graph,
                                          const Curvature& curvature = Fisher());

/// M(δ) with C = F as a sum of squared distances between what δ does to the outputs and what would
/// be best for each of them (section 11),
///
///     M(δ) = Σ sᵢ ½‖Jᵢδ - bᵢ‖²_{F_R} + h + `bound(graph)`,   b = `best_outputs(graph)`,
///
/// from J δ, the scores and F_R alone: neither ∇h nor C is formed. One product J δ. Throws as
/// `bound` does, and `c10::ValueError` for a loss with penalties, which have no best outputs.
NATGRAD_EXPORT double least_squares_form(const LossGraph& graph, const torch::Tensor& delta);

/// What `check_quadratic_model` saw.
struct NATGRAD_EXPORT QuadraticModelReport {
  std::string curvature;  ///< as it describes itself
  /// The largest |M(δ) - least squares| over random δ, as a share of ½δᵀFδ + |∇hᵀδ| + |bound|.
  double difference = 0;
  /// The same with the plus that section 11 prints, ‖J δ + F_R⁻∇log r‖.
  double as_printed = 0;
  double bound = 0;  ///< on M(δ) - h
  /// The least M(δ) - h found, by conjugate gradients, each of whose iterates is in reach.
  double gain = 0;
  double share = 0;  ///< gain/bound, in [0, 1]
  /// Whether `difference` is rounding (1e-9 in double, 1e-3 in float32), and `share` at most 1.
  bool holds = false;

  /// The figures and the verdict.
  std::string message() const;
};

/// Whether, for this C, M is what section 11 says: equal to its least-squares form at `probes`
/// random δ, and nowhere below the bound. True for the Fisher matrix and whatever equals it; for
/// others `difference` tells how far off they are. Conjugate gradients of up to `iterations`
/// products on C look for the least M. Throws as `least_squares_form` does.
NATGRAD_EXPORT QuadraticModelReport check_quadratic_model(const LossGraph& graph,
                                                          const Curvature& curvature = Fisher(),
                                                          int probes = 3, int64_t iterations = 50);

/// ρ = (h(θ + δ) - h(θ))/(M(δ) - h), which is 1 where h is quadratic: the reduction ratio, by which
/// Levenberg and Marquardt's damping judges a step (section 9). `loss` is the closure that gave the
/// model's graph; it is called twice, and the parameters are back at θ afterwards, in the same
/// memory.
NATGRAD_EXPORT double reduction_ratio(const LocalModel& model,
                                      const std::function<torch::Tensor()>& loss,
                                      const torch::Tensor& delta);

}  // namespace natgrad
