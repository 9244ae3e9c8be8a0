#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/of_outputs.h>

#include <functional>
#include <memory>
#include <string>

namespace natgrad {

/// What makes an exponential family, as functions of tensors. The statistics and log Z must be
/// given, the rest may be:
///
/// ```cpp
/// const auto beta = natgrad::ExponentialFamilyOptions("Beta")
///     .statistics([](auto& y) { return torch::stack({y.log(), torch::log1p(-y)}, 1); })
///     .log_partition([](auto& z) { return natgrad::log_gamma(z).sum(1) -
///                                         natgrad::log_gamma(z.sum(1)); })
///     .log_base_measure([](auto& y) { return -y.log() - torch::log1p(-y); })
///     .support([](auto& y) { return y.gt(0).logical_and(y.lt(1)); });
/// ```
class NATGRAD_EXPORT ExponentialFamilyOptions {
 public:
  /// A function of y or of z.
  using Function = std::function<torch::Tensor(const torch::Tensor&)>;
  /// Draws y for each row of z.
  using Sampler =
      std::function<torch::Tensor(const torch::Tensor& z, std::optional<at::Generator> generator)>;

  /// `name`: for messages.
  explicit ExponentialFamilyOptions(std::string name) : name_(std::move(name)) {}

  /// As given.
  const std::string& name() const { return name_; }
  /// T(y), [N, K], of targets that have the N examples in their first dimension.
  ExponentialFamilyOptions& statistics(Function T) { return set(&Functions::statistics, T); }
  /// As given; null if not.
  const Function& statistics() const { return functions_->statistics; }
  /// log Z(z), [N], of z [N, K], each row for itself, convex and twice differentiable by autograd.
  ExponentialFamilyOptions& log_partition(Function f) { return set(&Functions::log_partition, f); }
  /// As given; null if not.
  const Function& log_partition() const { return functions_->log_partition; }
  /// log h(y), [N]; 0 if not given.
  ExponentialFamilyOptions& log_base_measure(Function f) {
    return set(&Functions::log_base_measure, f);
  }
  /// As given; null if not.
  const Function& log_base_measure() const { return functions_->log_base_measure; }
  /// Where y is valid: bool, y's shape.
  ExponentialFamilyOptions& support(Function f) { return set(&Functions::support, f); }
  /// As given; null if not.
  const Function& support() const { return functions_->support; }
  /// y ~ r(·|z), drawn from the generator.
  ExponentialFamilyOptions& sampler(Sampler f) { return set(&Functions::sampler, f); }
  /// As given; null if not.
  const Sampler& sampler() const { return functions_->sampler; }

  /// Whether one is a copy of the other, and neither was given another function since: functions
  /// themselves cannot be compared.
  bool same_functions(const ExponentialFamilyOptions& other) const {
    return functions_ == other.functions_;
  }

 private:
  struct Functions {
    Function statistics, log_partition, log_base_measure, support;
    Sampler sampler;
  };
  template <class F>
  ExponentialFamilyOptions& set(F Functions::*member, F value) {
    auto changed = *functions_;
    changed.*member = std::move(value);
    functions_ = std::make_shared<const Functions>(std::move(changed));
    return *this;
  }

  std::string name_;
  std::shared_ptr<const Functions> functions_ = std::make_shared<const Functions>();
};

/// The exponential family of the user's own, by its natural parameters z, [N, K]:
///
///     log r = zᵀT(y) - log Z(z) + log h(y),  score = T(y) - ∇log Z,  F_R = ∇²log Z = -∇²log r
///
/// for every y, which is why Fisher and Gauss-Newton matrix are one (Martens, "New perspectives",
/// section 8). ∇log Z is taken once by autograd; a log Z that mixes the rows of z throws then. A
/// product with F_R is one backward pass of log Z's gradient; B is the Cholesky factor of F_R,
/// whose K columns are computed on first use, and an eigendecomposition takes its place where F_R
/// is singular (statistics that are linearly dependent, as the one-hot classes of a softmax).
///
/// The digits are those of the user's log Z and its derivatives: `log_gamma` instead of
/// `torch::lgamma`; and log r is computed as it stands, so that terms may cancel where a family of
/// its own, as `Gamma`, avoids it. y: any real dtype but bool, the N examples first; one
/// observation each.
class NATGRAD_EXPORT ExponentialFamily final : public Likelihood {
 public:
  /// Throws if statistics or log Z are missing, z is not [N, K], log Z is not [N] in z's dtype, and
  /// naming the first z whose log Z is not finite. Rows of z that are not finite themselves pass:
  /// of a diverged network the loss tells.
  ExponentialFamily(torch::Tensor outputs, ExponentialFamilyOptions options);

  std::string describe() const override;
  /// Of options that are copies of each other: terms on the same outputs are then one.
  bool same_family(const Likelihood& other) const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  /// Throws naming the first row where ∇²log Z is indefinite: it is then no log Z.
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// By the pseudo-inverse of ∇²log Z, computed on first use.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// Throws if no sampler was given.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  int64_t outputs_per_observation() const override { return outputs().size(1); }
  /// Also throws if T(y) is not [N, K], finite and in the precision of z or a higher one.
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// log Z(z') - log Z(z) - ∇log Z(z)ᵀ(z' - z), the Bregman divergence of log Z.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  torch::Tensor statistics(const torch::Tensor& y) const;
  torch::Tensor in_precision_of_outputs(const torch::Tensor& value, const char* what) const;
  torch::Tensor log_partition(const torch::Tensor& z) const;
  void check_log_partition() const;
  /// ∇log Z at z, a leaf of its own, with the graph for products.
  struct MeanStatistics {
    torch::Tensor z, value;
  };
  void check_rows(const torch::Tensor& log_z, const torch::Tensor& z) const;
  const MeanStatistics& mean_statistics() const;
  /// ∇²log Z, [N, K, K]: K products.
  torch::Tensor hessian() const;
  /// B, [N, K, K].
  torch::Tensor make_factor() const;
  void check_convex(const torch::Tensor& f, const torch::Tensor& factor) const;
  torch::Tensor mean_with_graph() const;
  /// ∫ (1 - s) dᵀ∇²log Z(z + s d) d ds over [0, 1], [N].
  torch::Tensor integrated_curvature(const torch::Tensor& d) const;

  ExponentialFamilyOptions options_;
  detail::OfOutputs<MeanStatistics> mean_statistics_;
  detail::OfOutputs<torch::Tensor> factor_, inverse_;
};

}  // namespace natgrad
