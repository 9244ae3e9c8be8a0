#pragma once

#include "detail.h"

// What quadrature says of a density that is given only by its logarithm up to a constant.

#include <natgrad/likelihoods/domain.h>
#include <torch/types.h>

#include <functional>
#include <optional>
#include <string>

namespace natgrad::detail {

/// ℓ(y, z), elementwise: log r(y|z) = ℓ - log Z(z), Z(z) = ∫ e^ℓ dy.
using LogDensity = std::function<torch::Tensor(const torch::Tensor& y, const torch::Tensor& z)>;

/// On the K nodes of a rule, for each z of [n]; double.
struct NumericalDensity {
  torch::Tensor nodes;           // y, [n, K], ascending along a row
  torch::Tensor log_density;     // ℓ, [n, K]
  torch::Tensor probabilities;   // weight · r(y|z), [n, K]: a row sums to one
  torch::Tensor score;           // ∂ℓ/∂z where the probability is not zero, else 0, [n, K]
  torch::Tensor curvature;       // ∂²ℓ/∂z² if it was asked for, [n, K]
  torch::Tensor log_normaliser;  // log Z, [n]
  int64_t pieces = 1;

  torch::Tensor mean_score() const { return (probabilities * score).sum(1); }
  /// Cov_r[∂ℓ/∂z], [n].
  torch::Tensor fisher() const;
};

/// At z, [n] in double. Step 2^-level on an interval; level does not matter for labels. Throws
/// where ℓ is NaN or +∞, or -∞ where r is not small. `name` is whose density it is. `moved`: other
/// outputs, [n], at whose kinks the rule is split too.
NumericalDensity evaluate(const LogDensity& log_density, const torch::Tensor& z,
                          const Domain& domain, int level, const std::string& name,
                          bool with_curvature = false, const torch::Tensor& moved = {});

struct Converged {
  int level;
  NumericalDensity density;
};

/// From the level on at which Z(z) and the Fisher information stop to change, to eleven digits if
/// the finest level reaches that, to five if not. Throws if that fails or an integral does not
/// exist.
Converged converge(const LogDensity& log_density, const torch::Tensor& z, const Domain& domain,
                   const std::string& name);

/// How many z to evaluate at a time, so that some hundred thousand nodes are held.
int64_t rows_at_once(const Domain& domain, int level);

/// Whether -∂²ℓ/∂z² is the Fisher information at every node that matters, to eight digits.
bool hessian_is_fisher(const LogDensity& log_density, const torch::Tensor& z, const Domain& domain,
                       int level, const std::string& name);

}  // namespace natgrad::detail
