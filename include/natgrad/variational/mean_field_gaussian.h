#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

namespace natgrad {

/// q(θ) = Π_j N(θ_j; μ_j, σ_j²), θ of [d], as a value, with its Fisher matrices
/// F = E_q[score scoreᵀ] in three parameterisations, each a LinearOperator on [2d], the first
/// parameters of all coordinates before the second.
class NATGRAD_EXPORT MeanFieldGaussian {
 public:
  /// μ and σ of [d]. Copies are kept, without gradients. Throws unless both are floating vectors
  /// alike in shape, dtype and device, μ finite and σ positive and finite.
  MeanFieldGaussian(const torch::Tensor& mean, const torch::Tensor& standard_deviation);
  /// From the natural parameters λ₁ = μ/σ² and λ₂ = -1/(2σ²) < 0. Throws as above.
  static MeanFieldGaussian from_natural(const torch::Tensor& lambda_1,
                                        const torch::Tensor& lambda_2);

  /// d.
  int64_t size() const { return mean_.numel(); }
  /// μ, [d].
  const torch::Tensor& mean() const { return mean_; }
  /// σ, [d].
  const torch::Tensor& standard_deviation() const { return sigma_; }
  /// σ², [d].
  torch::Tensor variance() const;
  /// μ/σ², [d].
  torch::Tensor lambda_1() const;
  /// -1/(2σ²), [d].
  torch::Tensor lambda_2() const;

  /// log q of points [S, d], [S].
  torch::Tensor log_prob(const torch::Tensor& theta) const;
  /// -E_q[log q] = Σ log σ_j + (d/2) log(2πe), 0-d.
  torch::Tensor entropy() const;

  /// In (μ, log σ): diag(σ⁻², 2).
  LinearOperator fisher_mean_log_std() const;
  /// In (μ, σ²): diag(σ⁻², ½ σ⁻⁴).
  LinearOperator fisher_mean_variance() const;
  /// In (λ₁, λ₂): [[σ², 2μσ²], [2μσ², 4μ²σ² + 2σ⁴]] for each coordinate; it is ∂m/∂λ, with
  /// m = (μ, μ² + σ²) the mean parameters.
  LinearOperator fisher_natural() const;

 private:
  torch::Tensor mean_, sigma_;
};

}  // namespace natgrad
