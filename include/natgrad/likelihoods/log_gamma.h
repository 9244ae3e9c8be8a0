#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

namespace natgrad {

/// log Γ(x) for x > 0, elementwise, differentiable three times with all digits: what the log Z of
/// Gamma, Beta and Dirichlet families is written with. `torch::lgamma` has the same values, but its
/// second derivative, `polygamma(1, x)`, a relative error of 5e-10.
NATGRAD_EXPORT torch::Tensor log_gamma(const torch::Tensor& x);

/// log Γ(x) - (x log x - x), which Stirling's series gives for large x: ½ log(2π/x) + 1/(12x) - ...
/// Where x log x cancels against other terms, what is left is known to all digits. Derivatives as
/// below; computed in float64.
NATGRAD_EXPORT torch::Tensor log_gamma_excess(const torch::Tensor& x);
/// ψ(x) - log x, the first derivative of `log_gamma_excess`.
NATGRAD_EXPORT torch::Tensor digamma_excess(const torch::Tensor& x);
/// ψ₁(x) - 1/x, the second one.
NATGRAD_EXPORT torch::Tensor trigamma_excess(const torch::Tensor& x);

}  // namespace natgrad
