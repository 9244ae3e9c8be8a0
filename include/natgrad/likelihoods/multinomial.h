#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/categorical.h>

namespace natgrad {

/// Counts of C classes in n trials, with p = softmax(z) along `dim`: how often each class came.
///
///     log r = log n!/(y₁! ... y_C!) + Σ y_j log p_j,  score = y - n p,
///     F_R = n (diag(p) - p pᵀ),  B = √n (diag(√p) - p √pᵀ).
///
/// -∇²log r = F_R for every y (Martens, "New perspectives", section 8). Products are n times
/// those of `Categorical`, with its care at large logit gaps. y: floating or integer, z's shape,
/// whole numbers >= 0 that sum to n along `dim`; one observation is all of its classes.
class NATGRAD_EXPORT Multinomial final : public Likelihood {
 public:
  /// n for all observations.
  Multinomial(torch::Tensor logits, int64_t count, int64_t dim = 1);
  /// n for each, shaped like z without `dim`; a copy is kept. Throws unless n is a whole number
  /// >= 0 that z's dtype can tell from its neighbours: up to 2²⁴ in float32, 2⁵³ in float64.
  Multinomial(torch::Tensor logits, const torch::Tensor& counts, int64_t dim = 1);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// v/(n p), as of `Categorical`; 0 for n = 0.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = the range of d over the classes.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  /// One class after the other: binomial, given those before. In z's dtype.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  int64_t outputs_per_observation() const override { return outputs().size(dim_); }
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const torch::Tensor& y) const override;
  int64_t example_dim() const override { return categorical_.example_dim(); }
  torch::Tensor align(const torch::Tensor& per_observation) const override {
    return categorical_.align(per_observation);
  }

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// n times the Categorical's.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  Categorical categorical_;
  int64_t dim_;
  torch::Tensor count_;  // broadcasts against z
  std::string count_text_;
};

}  // namespace natgrad
