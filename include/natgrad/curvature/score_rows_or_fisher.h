#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// The optimizer's default: `ScoreRows()` where each example has up to four observations, in one
/// term or several, whose rows are cheap to form: for one, two to four of Adam's steps at the usual
/// sizes (docs/performance.md). Else `FisherOrGaussNewton()`; `GradientRows()` where an op of the
/// network has no second derivative. `StepSummary::curvature` says which, and why.
///
/// Rows do not fit: a loss of the user's own, penalties; terms of unequal numbers of examples;
/// examples of more observations (the pixels of an autoencoder), whose rows would be too many, and
/// of several with several outputs each; a family of several outputs without a `fisher_solve`;
/// examples that depend on each other (batch normalisation in training mode); parameters outside
/// the layers that natgrad knows; and rows of other than linear layers (convolutions, time steps)
/// where they are more than 2²⁵ numbers.
class NATGRAD_EXPORT ScoreRowsOrFisher final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override;
  bool tells_gradient() const override { return true; }
  std::string describe() const override { return "ScoreRowsOrFisher()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
