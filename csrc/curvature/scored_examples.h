#pragma once

#include "detail.h"

#include <natgrad/curvature/curvature.h>

#include <memory>
#include <string>
#include <variant>

#include "graph/captured_rows.h"

namespace natgrad::detail {

/// Why `score_rows` does not fit this loss; empty if it does.
std::string why_no_score_rows(const LossGraph& graph);

class ScoredExamples;
using Scored = std::shared_ptr<const ScoredExamples>;
/// Why there is none.
struct Unfit {
  std::string reason;
};

/// R and t of `score_rows`: RᵀR = Σ sᵢ JᵢᵀQᵢJᵢ and ∇h = -Rᵀt, penalties apart.
class ScoredExamples {
 public:
  /// Throws as `score_rows` does.
  explicit ScoredExamples(const LossGraph& graph);
  /// Where rows fit the loss and are cheap to form.
  static std::variant<Scored, Unfit> if_cheap(const LossGraph& graph);

  const CapturedRows& rows() const { return rows_; }
  /// tᵢ = √(sᵢ gᵢᵀF_R⁻gᵢ), [N]; signed where one output makes an observation.
  const torch::Tensor& targets() const { return targets_; }
  /// Σ sᵢ‖Rᵢ‖²/Σ sᵢ, which is tr(RRᵀ)/N for equal weights; 0-d.
  torch::Tensor noise() const;

 private:
  struct Seed;
  ScoredExamples(Seed seed, const LossGraph& graph);
  ScoredExamples(Seed seed, Capture captured, const LossGraph& graph);
  static Seed seed_of(const LossGraph& graph);

  torch::Tensor weights_, targets_;
  CapturedRows rows_;
};

/// RᵀR, which knows its root.
LinearOperator matrix_of(std::shared_ptr<const ScoredExamples> examples);

/// That, its noise and t.
CurvatureAt at_examples(std::shared_ptr<const ScoredExamples> examples);

}  // namespace natgrad::detail
