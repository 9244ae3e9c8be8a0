#pragma once

#include <natgrad/export.h>
#include <natgrad/variational/mean_field_gaussian.h>

#include <functional>

namespace natgrad {

/// log p(data, θ) up to a constant: points θ of [S, d], one a row, to [S]. Differentiable; a row's
/// value depends on that row alone.
using LogJoint = std::function<torch::Tensor(const torch::Tensor& theta)>;

/// Expectations under q of f = log p and its derivatives.
struct NATGRAD_EXPORT Expectations {
  torch::Tensor value;             ///< E_q[f], 0-d
  torch::Tensor gradient;          ///< E_q[∇f], [d]
  torch::Tensor hessian_diagonal;  ///< E_q[∂²f/∂θ_j²], [d]
};

/// By the cubature of degree 3 with the 2d points μ ± √d σ_j e_j of equal weight (Stroud 1971), and
/// the Hessian's diagonal from gradients by Stein's identity (Price, Bonnet)
///
///     E_q[∂²f/∂θ_j²] = E_q[∂f/∂θ_j (θ_j - μ_j)] / σ_j².
///
/// Exact for a quadratic f, as of a Gaussian target, and deterministic. Costs f and its gradient at
/// 2d points, in one batch of [2d, d]: for large d take samples. Throws if f answers another shape
/// than [S] or does not depend on θ.
NATGRAD_EXPORT Expectations expectations_by_cubature(const LogJoint& log_joint,
                                                     const MeanFieldGaussian& q);

/// By k pairs of reparameterised samples μ ± σ ⊙ ε, ε ~ N(0, I), and the same identity: unbiased.
/// The gradient of a quadratic f is exact. Costs f and its gradient at 2k points, in one batch.
/// Throws as above and for k < 1.
NATGRAD_EXPORT Expectations expectations_by_sampling(const LogJoint& log_joint,
                                                     const MeanFieldGaussian& q, int64_t pairs,
                                                     at::Generator generator);

}  // namespace natgrad
