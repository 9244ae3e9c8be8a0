#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>

namespace natgrad {

/// One draw of how far the batch's gradient would move if its targets were drawn again,
///
///     ‖g̃‖² / Σs,  g̃ = Σ sᵢ Jᵢᵀ B rᵢ,
///
/// with B Bᵀ = F_R, r of random signs and s the examples' weights (an example's weight is the mean
/// over its observations; of several terms about the same example the largest). Its expectation is
/// tr(F)/N for a mean over N examples, and scales as the loss does. Costs one backward pass; a 0-d
/// tensor on the device. Throws as `fisher` does.
NATGRAD_EXPORT torch::Tensor gradient_noise(const LossGraph& graph, at::Generator generator,
                                            FisherWeights weights = FisherWeights::OfTheLoss);

/// vᵀCv/N with v of random signs: for equal weights the same expectation, of a curvature C that has
/// no likelihood behind it, at the cost of one product. Not below zero.
NATGRAD_EXPORT torch::Tensor probed_noise(const LossGraph& graph, const LinearOperator& C,
                                          at::Generator generator);

}  // namespace natgrad
