#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent outputs around z with Student's t noise of ν degrees of freedom: the smaller ν, the
/// less an outlier counts (Lange, Little & Taylor 1989, "Robust statistical modeling using the t
/// distribution"). With d = y - z:
///
///     log r = -½(ν+1) log(1 + d²/(ν s²)) - log(s √(νπ)) + log Γ((ν+1)/2) - log Γ(ν/2),
///     score = (ν+1) d/(ν s² + d²),  F_R = (ν+1)/((ν+3) s²),  B = √F_R.
///
/// -∇²log r is F_R only on average: it is negative for |d| > s √ν, and the Gauss-Newton matrix may
/// be indefinite. For ν → ∞ this is `Gaussian(z, s²)`.
/// y: floating, z's shape, finite.
class NATGRAD_EXPORT StudentT : public Likelihood {
 public:
  /// `degrees_of_freedom` ν without unit, `scale` s in y's units. Throws unless both are positive
  /// and finite.
  StudentT(torch::Tensor location, double degrees_of_freedom, double scale = 1);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// (ν+3) s² v/(ν+1).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// Draws beyond the largest number of z's dtype are that number.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// log(1 + (d/2γ)²) for ν = 1, else by quadrature; d = z' - z.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  double freedom_;
  double scale_;
  double fisher_;
  double log_normaliser_;
};

/// Cauchy noise of half-width γ at half-maximum: `StudentT` with ν = 1, F_R = 1/(2γ²).
class NATGRAD_EXPORT Cauchy final : public StudentT {
 public:
  /// `half_width` γ in y's units. Throws unless it is positive and finite.
  explicit Cauchy(torch::Tensor location, double half_width = 1)
      : StudentT(std::move(location), 1, half_width) {}
};

}  // namespace natgrad
