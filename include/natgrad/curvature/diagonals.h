#pragma once

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/export.h>

namespace natgrad {

/// Estimates of a curvature matrix's diagonal, [P], for preconditioners and diagonal metrics.

/// diag F by curvature propagation (Martens, Sutskever & Swersky 2012), with F_R = B Bᵀ and probes
/// r of random signs:
///
///     E[(Σ √sᵢ Jᵢᵀ B rᵢ)²] = diag F.
///
/// The mean of `probes` draws, at one backward pass each; unbiased, with a standard deviation of at
/// most √(2/probes) F_jj in entry j. Throws `c10::Error` for `probes` < 1 and for negative weights,
/// and as `fisher` does.
NATGRAD_EXPORT torch::Tensor propagated_fisher_diagonal(
    const LossGraph& graph, int64_t probes, at::Generator generator,
    FisherWeights weights = FisherWeights::OfTheLoss);

/// diag G likewise, for any loss: E[(Jᵀr) ⊙ (JᵀH_L r)] = diag G, at two backward passes and a
/// product with H_L a draw. Unbiased also where H_L has no root; a draw's entry j may be negative,
/// and has the variance ‖a‖²‖b‖² + (a·b)² - 2 Σₖ aₖ²bₖ² with a = J eⱼ and b = H_L J eⱼ.
NATGRAD_EXPORT torch::Tensor propagated_gauss_newton_diagonal(const LossGraph& graph,
                                                              int64_t probes,
                                                              at::Generator generator);

/// diag F̄ = Σ sᵢ gᵢ², exactly. Costs two backward passes
/// and a matrix product a linear layer; centred, or for a loss that cannot be read, the gradients
/// of all examples.
NATGRAD_EXPORT torch::Tensor empirical_fisher_diagonal(
    const LossGraph& graph, Moment moment = Moment::Uncentred,
    FisherWeights weights = FisherWeights::OfTheLoss);

}  // namespace natgrad
