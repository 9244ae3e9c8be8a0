#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// The optimizer's default: `ScoreRows()` where each example is one observation and has a row of
/// its own that is cheap to form, from one backward pass: two to four of Adam's steps at the usual
/// sizes (README). Else `FisherOrGaussNewton()`. `StepSummary::curvature` says which, and why.
///
/// Rows do not fit: several terms, a loss of the user's own, negative weights, penalties; examples
/// of several observations (the pixels of an autoencoder), of which one row sees too little; a
/// family of several outputs without a `fisher_solve`; examples that depend on each other (batch
/// normalisation in training mode); parameters outside the layers that natgrad knows; and rows of
/// other than linear layers (convolutions, time steps) where they are more than 2²⁵ numbers.
class NATGRAD_EXPORT ScoreRowsOrFisher final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override;
  bool tells_gradient() const override { return true; }
  std::string describe() const override { return "ScoreRowsOrFisher()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
