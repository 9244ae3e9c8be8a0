#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent residuals y ~ N(0, v) by their spread alone, z = log v, v, log σ or σ with v = σ²:
/// what is left of a Gaussian likelihood whose mean is another output, as in ½ (log v + (y - μ)²/v)
/// written by hand. With the slope m = d log v/dz = 1, 1/v, 2 or 2/σ
///
///     log r = -½ log v - y²/(2v) + const,
///     score = ½ m (y²/v - 1),  F_R = ½ m²,  B = m/√2.
///
/// The mixed element of the Fisher matrix of (μ, z) vanishes, so that the two terms are the whole.
/// y: floating, z's shape, finite.
class NATGRAD_EXPORT ResidualSpread final : public Likelihood {
 public:
  /// What z is.
  enum class By {
    LogVariance,   ///< log v
    Variance,      ///< v
    LogDeviation,  ///< log σ
    Deviation      ///< σ
  };
  /// Throws `c10::Error` for the first variance or deviation that is not positive.
  explicit ResidualSpread(torch::Tensor z, By by = By::LogVariance);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach: the change of log v to first order.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// ½ (t - log(1 + t)), t = v/v' - 1: what the spread adds to a Gaussian's.
  torch::Tensor compute_kl(const Likelihood& other) const override;
  /// d log v/dz.
  torch::Tensor slope() const;
  torch::Tensor log_variance() const;
  bool is_log() const { return by_ == By::LogVariance || by_ == By::LogDeviation; }
  /// b of v = e^(b z) or zᵇ.
  double power() const { return by_ == By::LogVariance || by_ == By::Variance ? 1 : 2; }

  By by_;
};

}  // namespace natgrad
