#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>

namespace natgrad {

/// √s B r, one tensor per output of the graph: noise at the outputs whose covariance is that of
/// scores of targets drawn from the model,
///
///     E[(√s B r)(√s B r)ᵀ] = s F_R,  B Bᵀ = F_R,  r of random signs,
///
/// so that what Jᵀ makes of it has the covariance F = Σ sᵢ Jᵢᵀ F_R Jᵢ, and no target is needed.
/// Costs a product with B. Throws `c10::Error` as `fisher` does, and for negative weights.
NATGRAD_EXPORT std::vector<torch::Tensor> output_noise(
    const LossGraph& graph, at::Generator generator,
    FisherWeights weights = FisherWeights::OfTheLoss);

}  // namespace natgrad
