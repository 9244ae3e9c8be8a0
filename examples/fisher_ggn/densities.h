#pragma once

#include <torch/types.h>

#include <vector>

/// log r(y|z) of each example, [N], of every family, as a textbook has it and in elementary ops:
/// what the routes that know no likelihood of natgrad's are made of. z is [N, K], y [N, M] unless
/// said otherwise; numbers side by side are independent.
namespace examples::densities {

/// y one class an example, [N]: z_y - log Σ e^z.
torch::Tensor softmax(const torch::Tensor& z, const torch::Tensor& y);
/// Bits of chance p = 1/(1 + e^-z).
torch::Tensor bits(const torch::Tensor& z, const torch::Tensor& y);
/// How often each class came.
torch::Tensor class_counts(const torch::Tensor& z, const torch::Tensor& y);

/// Of mean and variance, [N, M] or broadcasting to it.
torch::Tensor gaussian(const torch::Tensor& mean, const torch::Tensor& variance,
                       const torch::Tensor& y);
/// Of mean [N, M] and one covariance [M, M].
torch::Tensor full_gaussian(const torch::Tensor& mean, const torch::Tensor& covariance,
                            const torch::Tensor& y);
/// z = (a, b): a y + b y² less log Z, a = μ/σ², b = -1/(2σ²).
torch::Tensor natural_gaussian(const torch::Tensor& z, const torch::Tensor& y);
/// z = (m₁, m₂, P₁₁, P₂₁, P₂₂): mᵀy - ½ yᵀP y less log Z, P = Σ⁻¹, m = Σ⁻¹μ.
torch::Tensor natural_full_gaussian(const torch::Tensor& z, const torch::Tensor& y);

/// Counts of rate e^z.
torch::Tensor poisson(const torch::Tensor& z, const torch::Tensor& y);
/// Successes of chance p, given as log p, before the r-th failure.
torch::Tensor negative_binomial(const torch::Tensor& log_p, double r, const torch::Tensor& y);
/// Waiting times.
torch::Tensor exponential(const torch::Tensor& rate, const torch::Tensor& y);
/// z = (α, -β).
torch::Tensor gamma(const torch::Tensor& z, const torch::Tensor& y);

/// Noise around z.
torch::Tensor laplace(const torch::Tensor& z, double scale, const torch::Tensor& y);
torch::Tensor huber(const torch::Tensor& z, double delta, double scale, const torch::Tensor& y);
torch::Tensor student_t(const torch::Tensor& z, double nu, double scale, const torch::Tensor& y);
torch::Tensor logistic(const torch::Tensor& z, double scale, const torch::Tensor& y);
torch::Tensor sech(const torch::Tensor& z, const torch::Tensor& y);
/// An angle's: e^(c cos(y - z)), its integral over the circle as a sum.
torch::Tensor angle(const torch::Tensor& z, double concentration, const torch::Tensor& y);

/// Labels 0 to 3: the chance of a label up to k is 1/(1 + e^(z - thresholdₖ)) (McCullagh 1980).
torch::Tensor ordinal(const torch::Tensor& z, const torch::Tensor& y);
/// z = (α, β), y in (0, 1).
torch::Tensor beta(const torch::Tensor& z, const torch::Tensor& y);
/// z = κ (cos μ, sin μ): e^(z₁ cos y + z₂ sin y), its integral over the circle as a sum.
torch::Tensor von_mises(const torch::Tensor& z, const torch::Tensor& y);

}  // namespace examples::densities
