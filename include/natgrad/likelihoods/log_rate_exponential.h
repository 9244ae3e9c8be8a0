#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent waiting times by the logarithm of their rate, z = log rate: `Exponential` for a
/// network whose outputs may be any number.
///
///     log r = z - y e^z,  score = 1 - y e^z,  F_R = 1,  B = 1.
///
/// z is not a natural parameter: -∇²log r = y e^z is positive, but F_R only on average. e^z
/// overflows from z = 710 (float64) or 89 (float32) on, and samples below minus that. y: floating,
/// z's shape, finite, >= 0.
class NATGRAD_EXPORT LogRateExponential final : public Likelihood {
 public:
  /// `log_rate`: z, of any shape.
  explicit LogRateExponential(torch::Tensor log_rate);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// v.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = |d|, of log-rates.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// e^d - 1 - d, d = z' - z.
  torch::Tensor compute_kl(const Likelihood& other) const override;
  torch::Tensor scaled(const torch::Tensor& y) const;
};

}  // namespace natgrad
