#pragma once

#include "detail.h"

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

/// Why there are none.
struct Unfit {
  std::string reason;
};

/// The rows of `score_rows`, where they fit the loss and are cheap to form.
std::variant<std::shared_ptr<const TargetedRows>, Unfit> score_rows_if_cheap(
    const LossGraph& graph);

}  // namespace natgrad::detail
