#pragma once

#include "detail.h"

#include <natgrad/curvature/curvature.h>

#include <memory>
#include <string>

#include "graph/captured_rows.h"

namespace natgrad::detail {

/// What is pulled back to one row an example, or to one for each of its observations: slots·N.
struct RowSeed {
  GradientSlots gradients;  ///< at the outputs of example i, by slot: a row is Jᵢᵀ of it
  torch::Tensor weights;    ///< s, [slots·N]: what the examples count in the loss
  torch::Tensor targets;    ///< t, [slots·N], with ∇h = -Rᵀt, penalties apart
  double examples = 0;      ///< how many distinct ones the rows are of
};

/// R and t of one row an observation: C = RᵀR and ∇h = -Rᵀt, penalties apart.
class TargetedRows {
 public:
  /// Throws `c10::Error` as `CapturedRows` does.
  TargetedRows(const RowSeed& seed, const LossGraph& graph);
  /// Of what was captured below the seed's gradients.
  TargetedRows(const RowSeed& seed, Capture captured, const LossGraph& graph);

  const CapturedRows& rows() const { return rows_; }
  const torch::Tensor& targets() const { return targets_; }
  /// Σ sᵢ‖Rᵢ‖²/Σ sᵢ over examples, which is tr(RRᵀ)/N for equal weights; 0-d.
  torch::Tensor noise() const;

 private:
  TargetedRows(const RowSeed& seed, CapturedRows rows);

  torch::Tensor weights_, targets_;
  double rows_of_example_;
  CapturedRows rows_;
};

/// RᵀR, which knows its root.
LinearOperator matrix_of(std::shared_ptr<const TargetedRows> rows, std::string name);

/// That, its noise and t.
CurvatureAt at_rows(std::shared_ptr<const TargetedRows> rows, std::string name);

}  // namespace natgrad::detail
