#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/domain.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/of_outputs.h>

#include <functional>
#include <memory>
#include <string>

namespace natgrad {

namespace detail {
class InverseDistribution;
}

/// The distribution that a user's own loss L(y, z) of one target and one output stands for,
/// independent for each output (Martens, section 4):
///
///     log r = -L(y, z) - log Z,  Z = ∫ e^(-L(y, z)) dy,  score = -∂L/∂z,
///     F_R = Cov_r[∂L/∂z],  B = √F_R.
///
/// The integrals are by double-exponential quadrature between the domain's kinks (Takahasi & Mori
/// 1974), sums for a set of labels. L is the negative log-likelihood of a distribution only if Z is
/// finite and the same for all z, which is checked; a loss of y - z on the real line has that
/// property if e^(-L) can be integrated (for which c log|y - z| with c > 1 is enough, and log|y -
/// z| is not), the hinge loss has not.
///
/// L is called with tensors of equal, but any shape, gives a number for each element, and is twice
/// differentiable by autograd but for its kinks. At construction it is evaluated in double on a few
/// thousand y for each of 16 of the z at most, from the smallest to the largest; products with F_R
/// and draws evaluate it on some thousand y for each z, once if there are at most 100 of them.
/// y: floating, z's shape, in the domain; a label within a set is given exactly.
class NATGRAD_EXPORT ExpLoss final : public Likelihood {
 public:
  /// L(y, z), a number for each element.
  using Loss = std::function<torch::Tensor(const torch::Tensor& y, const torch::Tensor& z)>;

  /// Throws where Z is not finite or not constant, saying which, with the figures; where r is zero
  /// in the middle of an interval; where L is NaN, gives another shape than z's or holds tensors
  /// that require a gradient. Outputs that are not finite are left out of this.
  ExpLoss(torch::Tensor outputs, Loss loss, Domain domain = Domain::real_line());

  /// With a hash of L's values at these outputs: terms on the same outputs with losses of equal
  /// values are one.
  std::string describe() const override;
  /// Of equal domains, with losses of equal values at these outputs.
  bool same_family(const Likelihood& other) const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// v/F_R.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// By the inverse of the distribution function of a density linear between the nodes: to 1e-4.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  /// Computed where it is asked, at the outputs that were checked, to eight digits.
  bool hessian_is_fisher() const override;
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// E[L(y, z') - L(y, z)] under r(·|z), by the quadrature of F_R.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  /// -L.
  torch::Tensor log_density(const torch::Tensor& y, const torch::Tensor& z) const;
  struct Tables {
    torch::Tensor fisher;  // [n], double
    std::shared_ptr<const detail::InverseDistribution> inverse;
  };
  /// What `of` says of all outputs, some at a time, in z's shape and dtype. The tables of few
  /// outputs are kept while these stay as they are.
  torch::Tensor for_outputs(const std::function<torch::Tensor(const Tables&)>& of) const;
  Tables tables_at(const torch::Tensor& z) const;
  /// F_R, shaped like z.
  const torch::Tensor& fisher() const;

  Loss loss_;
  Domain domain_;
  torch::Tensor checked_;  // outputs, [n] in double
  int level_ = 0;
  double log_normaliser_ = 0;
  std::string text_;
  detail::OfOutputs<Tables> tables_;
  detail::OfOutputs<torch::Tensor> fisher_;
};

}  // namespace natgrad
