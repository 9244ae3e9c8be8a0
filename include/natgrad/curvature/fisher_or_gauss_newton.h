#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// The Fisher matrix where the distribution of all outputs is known, which
/// is positive semi-definite for every family, and the Gauss-Newton matrix for a loss of the user's
/// own that is convex in its outputs, as far as the batch shows; else `GradientRows()`. The Fisher
/// matrix takes the loss's weights, or 1/N if some of them are negative, as in a policy gradient.
/// For softmax, Bernoulli and Gaussian outputs the two are one (Martens, section 8).
class NATGRAD_EXPORT FisherOrGaussNewton final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override;
  std::string describe() const override { return "FisherOrGaussNewton()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
