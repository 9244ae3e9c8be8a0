#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/of_outputs.h>

namespace natgrad {

/// Softmax outputs: r(y|z) = p_y with p = softmax(z) along `dim`, the loss of `cross_entropy`.
///
///     log r = z_y - logsumexp(z),  score = e_y - p,  F_R = diag(p) - p pᵀ,  B = diag(√p) - p √pᵀ.
///
/// -∇²log r = F_R for every y. F_R has rank K - 1: its null direction adds one number to every
/// logit. Products subtract v at the largest logit first, since p⊙(v - pᵀv) loses digits at large
/// logit gaps. y: class indices (int64, z's shape without `dim`), or probabilities of the
/// classes (floating, z's shape, summing to 1; then log r = Σ y_j log p_j).
class NATGRAD_EXPORT Categorical final : public Likelihood {
 public:
  /// `logits`: z, with the classes along `dim`.
  explicit Categorical(torch::Tensor logits, int64_t dim = 1);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// v/p: a multiple of (1, ..., 1) away from the pseudo-inverse.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = the range of d over the classes.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  /// Class indices, by the Gumbel-max trick.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  int64_t outputs_per_observation() const override { return outputs().size(dim_); }
  /// sᵀF_R⁻s = Σ s_k²/p_k; for a class index (1 - p_y)/p_y, so that Q is the odds of y times s sᵀ
  /// (Korbit & Zanon 2026, "Fast Gauss-Newton"). 1 - p_y is taken as the sum of the others' p.
  ScoreFactor score_factor(const torch::Tensor& score) const override;
  /// diag q - q qᵀ, with q = E_q[score] + p.
  std::optional<torch::Tensor> target_covariance_multiply(const torch::Tensor& mean_score,
                                                          const torch::Tensor& v) const override;
  void check_targets(const torch::Tensor& y) const override;
  int64_t example_dim() const override { return dim_ == 0 ? 1 : 0; }
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// log Σ p_k exp(d_k) - pᵀd, d = z' - z.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  struct Probabilities {
    torch::Tensor p;            ///< shaped like z
    torch::Tensor most_likely;  ///< the index of its largest, of size 1 along the classes
  };
  /// Without a graph.
  const Probabilities& probabilities() const;

  int64_t dim_;
  detail::OfOutputs<Probabilities> probabilities_;
};

}  // namespace natgrad
