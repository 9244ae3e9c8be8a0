#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/of_outputs.h>

namespace natgrad {

/// Independent binary outputs by their logits: r(1|z) = σ(z), the loss of
/// `binary_cross_entropy_with_logits`.
///
///     log r = y log σ(z) + (1 - y) log σ(-z),  score = y - σ(z),  F_R = σ(z) σ(-z),  B = √F_R.
///
/// -∇²log r = F_R for every y. Never σ(1 - σ), which is zero from z ≈ 37 (float64) on.
/// y: floating, z's shape, in [0, 1].
class NATGRAD_EXPORT Bernoulli final : public Likelihood {
 public:
  /// `logits`: z, of any shape.
  explicit Bernoulli(torch::Tensor logits);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// v/(σ(z) σ(-z)).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = |d|.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  /// q (1 - q), with q = E_q[score] + σ(z).
  std::optional<torch::Tensor> target_covariance_multiply(const torch::Tensor& mean_score,
                                                          const torch::Tensor& v) const override;
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// log(1 - p + p e^d) - p d, d = z' - z.
  torch::Tensor compute_kl(const Likelihood& other) const override;
  /// σ(z) σ(-z), computed on first use and kept while the outputs stay as they are; without a
  /// graph.
  const torch::Tensor& variance() const;

  detail::OfOutputs<torch::Tensor> variance_;
};

}  // namespace natgrad
