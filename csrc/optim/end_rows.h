#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/types.h>

#include <optional>

namespace natgrad::detail {

/// What a minimisation moves, and by which function of it.
struct Objective {
  ParameterLayout layout;
  const NaturalGradient::LossClosure& closure;
  /// Whether what the optimizer makes small is the closure's h itself: no weight decay, no
  /// `maximize`.
  bool is_plain = true;

  LossGraph graph() const;
};

/// R D⁻¹ = Q U and q = Qᵀt at one θ, D the lengths of R's columns.
struct EndRows {
  torch::Tensor R, lengths, triangle, right, residuals;
  int64_t observations = 0;  ///< of weight other than zero
  bool are_squared_errors = false;
  double rounding = 0;  ///< ε of the parameters' dtype

  /// The cosine between t and R's columns, which is zero at a minimum.
  double offset() const;
  /// Whether there are more observations than columns, and these are independent.
  bool is_determined() const;
  /// Whether θ's own rounding makes residuals as large as these: ‖t‖ ≤ c ε ‖|R| |θ|‖.
  bool are_rounding(const torch::Tensor& theta) const;
  /// R⁺b by U, for b = Qᵀ(...) of [P, k].
  torch::Tensor solve(const torch::Tensor& b) const;
  /// The step of Gauss and Newton.
  torch::Tensor step() const { return solve(right.unsqueeze(1)).squeeze(1); }

 private:
  bool has_full_rank() const;
};

/// Nothing where the objective does not come as rows, or as more numbers than are worth it.
std::optional<EndRows> end_rows(const Objective& objective, const LossGraph& graph);

/// The last digits, which h is too coarse to show: steps of Gauss and Newton, judged by the offset.
/// θ is left where that was least.
void polish(const Objective& objective);

}  // namespace natgrad::detail
