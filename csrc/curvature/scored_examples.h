#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

#include <memory>
#include <string>
#include <variant>

#include "curvature/targeted_rows.h"

namespace natgrad::detail {

inline constexpr auto kScoreRows = "score rows";

/// Why `score_rows` does not fit this loss; empty if it does.
std::string why_no_score_rows(const LossGraph& graph);

/// What `score_rows` pulls back, √s q of each example, with tᵢ = √(sᵢ gᵢᵀF_R⁻gᵢ), signed where one
/// output makes an observation. Throws as `score_rows` does.
RowSeed score_seed(const LossGraph& graph);

/// s and g = ∇_z log r(y|z) of a term; of an objective that is no likelihood, as with named outputs
/// or under advantages of either sign, s = 1/N and g = -∂h/∂z/s.
struct WeightedScore {
  torch::Tensor weights, score;
};
WeightedScore weighted_score(LossTerm term, bool is_likelihood);

/// Why there are none.
struct Unfit {
  std::string reason;
};

/// The rows of `score_rows`, where they fit the loss and are cheap to form.
std::variant<std::shared_ptr<const TargetedRows>, Unfit> score_rows_if_cheap(
    const LossGraph& graph);

}  // namespace natgrad::detail
