#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/types.h>

#include <optional>

namespace natgrad::detail {

/// What a minimisation moves, and by which function: ±h + ½ Σ wθ², h from the closure.
struct Objective {
  ParameterLayout layout;
  const NaturalGradient::LossClosure& closure;
  double sign = 1;        ///< -1 under `maximize`
  torch::Tensor decay{};  ///< w, [P] or 0-d; undefined if all are zero

  /// Whether it is h itself.
  bool is_plain() const { return sign == 1 && !decay.defined(); }
  LossGraph graph() const;
  torch::Tensor gradient(const LossGraph& graph) const;
  LinearOperator hessian(const LossGraph& graph) const;
};

/// That of the parameters that an optimizer's steps move: those that require a gradient and have a
/// rate. Throws `c10::Error` if there are none.
Objective objective_of(const NaturalGradient& optimizer,
                       const NaturalGradient::LossClosure& closure);

/// R D⁻¹ = Q U and q = Qᵀt at one θ, D the lengths of R's columns.
struct EndRows {
  torch::Tensor R, lengths, triangle, right, residuals;
  int64_t observations = 0;  ///< of weight other than zero, within the residuals too
  bool are_squared_errors = false;
  double rounding = 0;  ///< ε of the parameters' dtype

  /// The rows that are not zero, residual and all: those that a mask has taken out are no data.
  int64_t counted() const;
  /// What of t steps could still change, ‖Q₁ᵀt‖, Q₁ of R's columns to its numerical rank.
  double reach() const;
  /// Its share of t, the cosine between t and R's columns: zero at a minimum.
  double offset() const;
  /// Whether there are as many observations as columns, and these are independent.
  bool is_determined() const;
  /// Whether θ's own rounding makes residuals as large as these: ‖t‖ ≤ c ε ‖|R| |θ|‖.
  bool are_rounding(const torch::Tensor& theta) const;
  /// R⁺b by U, for b = Qᵀ(...) of [P, k].
  torch::Tensor solve(const torch::Tensor& b) const;
  /// ‖R_j‖, also where its square is below the smallest number.
  torch::Tensor column_norms() const;
  /// The step of Gauss and Newton.
  torch::Tensor step() const { return solve(right.unsqueeze(1)).squeeze(1); }
  /// What the rounding of t makes of that, by parameter: c ε ‖t‖ √((RᵀR)⁻¹)_jj.
  torch::Tensor rounding_of_step() const;

 private:
  bool has_full_rank() const;
};

/// Nothing where the objective does not come as rows, or as more numbers than are worth it.
std::optional<EndRows> end_rows(const Objective& objective, const LossGraph& graph);

/// The last digits, which h is too coarse to show: steps of Gauss and Newton, judged by `reach`. θ
/// is left where that was least.
void polish(const Objective& objective);

}  // namespace natgrad::detail
