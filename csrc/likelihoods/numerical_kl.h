#pragma once

#include "detail.h"

#include "likelihoods/numerical_density.h"

namespace natgrad::detail {

// Of the rule for densities that are analytic between kinks: what it leaves out is below 1e-12.
constexpr int kSmoothLevel = 4;

/// KL(r(·|z) ‖ r(·|z')) elementwise, for z and `moved` of one shape, where Z does not depend on z:
/// E[ℓ(y, z) - ℓ(y, z')], and near z, where these cancel, d ∫ E[∂ℓ(y, z) - ∂ℓ(y, z + s d)] ds, by
/// a rule that is split at the kinks of both. Differentiable once in both: a second derivative
/// throws. NaN where z or z' is not finite.
torch::Tensor kl_by_quadrature(const LogDensity& log_density, const torch::Tensor& z,
                               const torch::Tensor& moved, const Domain& domain, int level,
                               const std::string& name);

/// The same of ℓ(x) and ℓ(x - d), elementwise for shifts d of any shape; on the CPU.
torch::Tensor shift_divergence(
    const std::function<torch::Tensor(const torch::Tensor& x)>& log_density, const torch::Tensor& d,
    const std::vector<double>& kinks, int level, const std::string& name);

}  // namespace natgrad::detail
