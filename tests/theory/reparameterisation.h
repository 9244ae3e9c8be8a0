#pragma once

// Other parameters γ for the same model, θ = g(γ).

#include "support/oracles.h"

namespace natgrad::testing {

/// g(γ) = γ + M tanh(γ) with M a quarter of an orthogonal matrix: smooth and invertible, since
/// J_g = I + M diag(1 - tanh²γ) and ‖M‖ = ¼.
class Reparameterisation {
 public:
  Reparameterisation(int64_t size, uint64_t seed) : mixing_(0.25 * random_orthogonal(size, seed)) {}
  Tensor operator()(const Tensor& gamma) const { return gamma + mixing_.mv(gamma.tanh()); }
  Tensor jacobian(const Tensor& gamma) const {
    const auto slope = 1 - gamma.detach().tanh().square();
    return torch::eye(gamma.numel(), torch::kDouble) + mixing_ * slope.unsqueeze(0);
  }

 private:
  Tensor mixing_;
};

}  // namespace natgrad::testing
