#pragma once

#include <ATen/core/Reduction.h>
#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

#include <concepts>
#include <memory>

namespace natgrad {

/// -log r(y|z) as a loss whose likelihood the optimizer reads off the graph:
///
/// ```cpp
/// optimizer.step([&] { return natgrad::nll(natgrad::Categorical(model->forward(x)), y); });
/// ```
///
/// Reduction: `Mean` sums over an example's outputs and averages over the examples, dimension 0 of
/// z (the paper's eq. 1); `Sum` sums over all; `None` gives one number per observation. Throws as
/// the family's `check_targets` does.
NATGRAD_EXPORT torch::Tensor nll(std::shared_ptr<const Likelihood> likelihood,
                                 const torch::Tensor& y,
                                 at::Reduction::Reduction reduction = at::Reduction::Mean);

/// The same of a family as a value.
template <std::derived_from<Likelihood> Family>
torch::Tensor nll(Family likelihood, const torch::Tensor& y,
                  at::Reduction::Reduction reduction = at::Reduction::Mean) {
  return nll(std::make_shared<const Family>(std::move(likelihood)), y, reduction);
}

/// Marks z as the network's outputs for a loss that natgrad does not know: everything between the
/// mark and the loss is then L(y, z), and H_L comes from autograd. It is the identity.
///
/// ```cpp
/// optimizer.step([&] { return my_loss(natgrad::outputs(model->forward(x)), y); });
/// ```
///
/// L has no likelihood, so the Fisher matrix is not defined; Gauss-Newton is. L should be convex in
/// z.
NATGRAD_EXPORT torch::Tensor outputs(const torch::Tensor& z);

/// The same, and says that z parameterises this distribution, whatever the objective is: the Fisher
/// matrix is then (1/N) Σ Jᵀ F_R J (Martens, section 4), as in a natural policy gradient,
///
/// ```cpp
/// natgrad::Categorical policy(model->forward(states));
/// auto z = natgrad::outputs(policy);
/// optimizer.step(-(z.log_softmax(1).gather(1, actions) * advantages).mean());
/// ```
///
/// The matrix has the weights 1/N whatever the objective's factor is: take its mean, not its sum.
/// Mask or scale the logits before they are named, not in place afterwards, and mark them once.
NATGRAD_EXPORT torch::Tensor outputs(std::shared_ptr<const Likelihood> distribution);

/// The same of a family as a value.
template <std::derived_from<Likelihood> Family>
torch::Tensor outputs(Family distribution) {
  return outputs(std::make_shared<const Family>(std::move(distribution)));
}

/// Marks R(θ), of any shape, as a part of the objective that is no loss of the network's outputs:
///
/// ```cpp
/// const auto R = (W.mm(W.t()) - I).square().sum();
/// optimizer.step(F::cross_entropy(model->forward(x), y) + 1e-3 * natgrad::penalty(R));
/// ```
///
/// Its gradient belongs to ∇h, its Hessian in θ, by double backward, to the damped system (see
/// penalty_hessian.h); R should be convex. It is the identity. A penalty of elementwise functions,
/// sums and views of parameters, as an L1 or L2 term, needs no mark.
NATGRAD_EXPORT torch::Tensor penalty(const torch::Tensor& R);

}  // namespace natgrad
