#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <torch/arg.h>

#include <functional>

namespace natgrad {

/// What makes an exponential family, as functions of tensors. The statistics and log Z must be
/// given, the rest may be:
///
///     const auto beta = natgrad::ExponentialFamilyOptions("Beta")
///         .statistics([](auto& y) { return torch::stack({y.log(), torch::log1p(-y)}, 1); })
///         .log_partition([](auto& z) { return natgrad::log_gamma(z).sum(1) -
///                                             natgrad::log_gamma(z.sum(1)); })
///         .log_base_measure([](auto& y) { return -y.log() - torch::log1p(-y); })
///         .support([](auto& y) { return y.gt(0).logical_and(y.lt(1)); });
class NATGRAD_EXPORT ExponentialFamilyOptions {
 public:
  using Function = std::function<torch::Tensor(const torch::Tensor&)>;
  using Sampler =
      std::function<torch::Tensor(const torch::Tensor& z, std::optional<at::Generator> generator)>;

  /// `name`: for messages; families with equal names on the same outputs count as one.
  explicit ExponentialFamilyOptions(std::string name) : name_(std::move(name)) {}

  TORCH_ARG(std::string, name);
  /// T(y), [N, K], of targets that have the N examples in their first dimension.
  TORCH_ARG(Function, statistics);
  /// log Z(z), [N], of z [N, K], each row for itself, convex and twice differentiable by autograd.
  TORCH_ARG(Function, log_partition);
  /// log h(y), [N]; 0 if not given.
  TORCH_ARG(Function, log_base_measure);
  /// Where y is valid: bool, y's shape.
  TORCH_ARG(Function, support);
  /// y ~ r(·|z), drawn from the generator.
  TORCH_ARG(Sampler, sampler);
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
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  /// Throws naming the first row where ∇²log Z is indefinite: it is then no log Z.
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// Throws if no sampler was given.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  /// Also throws if T(y) is not [N, K], finite and in the precision of z or a higher one.
  int64_t outputs_per_observation() const override { return outputs().numel() / examples(); }
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;

  torch::Tensor statistics(const torch::Tensor& y) const;
  torch::Tensor in_precision_of_outputs(const torch::Tensor& value, const char* what) const;
  torch::Tensor log_partition(const torch::Tensor& z) const;
  void check_log_partition() const;
  void check_rows(const torch::Tensor& log_z) const;
  /// ∇log Z at z, with the graph for products; kept while the outputs stay as they are.
  const torch::Tensor& mean_statistics() const;
  /// ∇²log Z, [N, K, K]: K products.
  torch::Tensor hessian() const;
  const torch::Tensor& factor() const;
  void check_convex(const torch::Tensor& f, const torch::Tensor& factor) const;

  ExponentialFamilyOptions options_;
  mutable uint32_t cached_version_ = 0;
  mutable torch::Tensor z_, mean_statistics_, factor_;
};

}  // namespace natgrad
