#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <torch/arg.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace natgrad {

class LossGraph;

/// Why a term breaks the equality of Fisher matrix and GGN.
enum class Breach {
  None,
  DependsOnTarget,  ///< H_L in z is another one for another target
  NotFisher,        ///< it is the same for all targets seen, and not F_R: a kink, or a wrong F_R
  OwnLoss,          ///< z has a distribution, but the loss is another function than its -log r
  NoDistribution    ///< z has no distribution: F_R is not defined
};

/// "None", "DependsOnTarget", ...
NATGRAD_EXPORT const char* to_string(Breach breach);

/// Condition (5) of Martens' section 8, -∇²_z log r(y|z) = F_R for every y, of one term (head) of a
/// loss. Figures are relative to ‖s F_R v‖, v random and shaped like z, s the term's weights.
struct NATGRAD_EXPORT TermCondition {
  size_t output = 0;           ///< which of the graph's outputs is its z
  std::string family;          ///< of its distribution, with fixed parameters; empty for none
  std::vector<int64_t> shape;  ///< of z
  /// The split: z is the result of this op, the last of the network, ...
  std::string below;
  /// ... and goes into this one, the first of the loss.
  std::string above;
  /// Likelihood::hessian_is_fisher(): what the family says of itself.
  std::optional<bool> told;
  /// ‖H_L v - s F_R v‖ at the loss's own targets, H_L by double backward on the loss's own nodes.
  std::optional<double> gap;
  /// The largest ‖H_L v - H'_L v‖ over other targets.
  std::optional<double> target_gap;
  std::string targets;  ///< how targets were varied, or why they could not be
  /// ‖Jᵀ(H_L - s F_R)J v‖/‖Gv‖: what the term alone makes of the distance; 0 where it is equal.
  std::optional<double> share;
  bool equal = false;  ///< H_L = s F_R at the loss's own targets
  bool holds = false;  ///< and, as far as could be seen, at all others
  /// What breaks it.
  Breach breach = Breach::NoDistribution;
  std::string reason;  ///< in words, where it breaks the equality
};

/// What `equivalence` found.
struct NATGRAD_EXPORT Equivalence {
  bool holds = false;  ///< F = G at the loss's own targets: `distance` ≤ `tolerance`
  /// And condition (5) for all terms, so that it is no accident of these targets.
  bool holds_for_every_target = false;
  /// The largest ‖Fv - Gv‖/‖Gv‖ over the probes; infinite where Gv alone is zero, none where F is
  /// not defined.
  std::optional<double> distance;
  std::vector<double> distances;     ///< by probe
  double tolerance = 0;              ///< on `distance`
  std::vector<TermCondition> terms;  ///< in the graph's order
  std::string remarks;               ///< outputs that nobody marked, penalties, negative weights

  /// The verdict, and a line a term.
  std::string message() const;
};

/// Options of `equivalence`.
class NATGRAD_EXPORT EquivalenceOptions {
 public:
  /// A closure that gives a loss.
  using Loss = std::function<torch::Tensor()>;

  /// Random v of [P].
  TORCH_ARG(int64_t, probes) = 3;
  /// Sets of other targets, drawn from the model.
  TORCH_ARG(int64_t, draws) = 4;
  /// Relative; 0: the rounding of a pass through a network, 1e-9 in double and 1e-3 in float32.
  TORCH_ARG(double, tolerance) = 0;
  /// Of the random directions.
  TORCH_ARG(uint64_t, seed) = 0;
  /// The same loss of the same outputs at other targets: how a loss of the user's own is asked, of
  /// which no targets can be drawn. Called `draws` times; `y.flip(0)` for y makes others, say.
  TORCH_ARG(Loss, other_targets);
};

/// Whether Fisher matrix and generalized Gauss-Newton matrix are one for this loss (Martens, "New
/// perspectives on the natural gradient method", section 8), and if not, which term breaks it and
/// why. The two sides share no code past J: F v = Jᵀ s F_R J v by the distributions' closed F_R,
/// which know no loss; G v = Jᵀ H_L J v by double backward on the loss's own nodes, which know no
/// distribution. Any size: no matrix is formed. In any precision.
///
/// ```cpp
/// const auto found = natgrad::equivalence(natgrad::LossGraph(loss, model->parameters()));
/// const auto verdict = found.message();
/// ```
///
/// Condition (5) is asked of each term twice: of the family, and of numbers, at targets drawn from
/// the model (or given by `other_targets`), of which H_L must not depend.
///
/// Cost: a probe two products each with J, H_L and Jᵀ, about four passes in all; the terms'
/// conditions are about the outputs alone, but for one pass for each that fails. Memory: some
/// vectors of [P]. Throws as `LossGraph::terms` and `LossGraph::multiply_loss_hessian`, for a loss
/// that cannot be read or differentiated twice, and `c10::ValueError` for probes or draws below 1.
NATGRAD_EXPORT Equivalence equivalence(const LossGraph& graph,
                                       const EquivalenceOptions& options = {});

/// The same with F and G of the user's own, such as an implementation to be held against the
/// library's.
NATGRAD_EXPORT Equivalence equivalence(const LossGraph& graph, const LinearOperator& F,
                                       const LinearOperator& G,
                                       const EquivalenceOptions& options = {});

}  // namespace natgrad
