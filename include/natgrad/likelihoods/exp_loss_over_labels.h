#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/of_outputs.h>

#include <functional>
#include <string>

namespace natgrad {

/// The distribution that a user's own loss L(y, z) of a label y and a vector z of outputs stands
/// for (Martens, section 4): `ExpLoss` with several outputs an observation, where the labels are
/// finitely many,
///
///     log r = -L(y, z) - log Z,  Z = Σ_y e^(-L(y, z)),  score = -∂L/∂z,
///     F_R = Σ_y r(y|z) score scoreᵀ,  B = √F_R,
///
/// by sums over all labels. L is the negative log-likelihood of a
/// distribution only if Z is the same for all z, which is checked: of a cross-entropy with any
/// logits that are functions of z it is, of a multi-class hinge loss it is not.
///
/// ```cpp
/// const auto loss = [](const torch::Tensor& y, const torch::Tensor& z) {
///   return -z.tanh().log_softmax(1).gather(1, y.unsqueeze(1)).squeeze(1);  // bounded logits
/// };
/// optimizer.step(natgrad::nll(natgrad::ExpLossOverLabels(model->forward(x), loss, 2), y));
/// ```
///
/// z: [N, K]. y: labels 0, ..., M - 1 (int64, [N]); what they stand for is L's affair. L is called
/// with y of [n] and z of [n, K] for any n, gives [n], row by row, and is twice differentiable in z
/// by autograd. It is evaluated in double for all M N pairs at construction, and once more with its
/// gradient when F_R or B is first asked for; M N K and N K² numbers are kept.
class NATGRAD_EXPORT ExpLossOverLabels final : public Likelihood {
 public:
  /// L(y, z), a number a row.
  using Loss = std::function<torch::Tensor(const torch::Tensor& y, const torch::Tensor& z)>;

  /// Throws where Z is zero, not finite or not constant, saying which, with the figures; where L is
  /// NaN or -∞, gives another shape than [n], mixes its rows, or holds tensors that require a
  /// gradient; for outputs that are not [N, K], and fewer than two labels. Outputs that are not
  /// finite are left out of this.
  ExpLossOverLabels(torch::Tensor outputs, Loss loss, int64_t labels);

  /// With a hash of L's values at these outputs.
  std::string describe() const override;
  /// Whose L has the same values at these outputs.
  bool same_family(const Likelihood& other) const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// By the pseudo-inverse of F_R.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  /// Computed where it is asked, at these outputs, to eight digits.
  bool hessian_is_fisher() const override;
  int64_t outputs_per_observation() const override { return outputs().size(1); }
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  torch::Tensor compute_kl(const Likelihood& other) const override;

  /// L(y, z), [n], checked for its shape.
  torch::Tensor loss(const torch::Tensor& y, const torch::Tensor& z) const;
  /// L of every label at each row of z, [M, N].
  torch::Tensor losses(const torch::Tensor& z) const;
  void check_losses(const torch::Tensor& losses) const;
  /// Of every label at each of these outputs; double, without a graph.
  struct Table {
    torch::Tensor z, probabilities, scores;  ///< [N, K], [M, N], [M, N, K]
    torch::Tensor fisher, factor, inverse;   ///< F_R, √F_R, F_R⁻, [N, K, K]
  };
  const Table& table() const;
  Table make_table() const;

  Loss loss_;
  int64_t labels_;
  double log_normaliser_ = 0;
  std::string text_;
  detail::OfOutputs<Table> table_;
};

}  // namespace natgrad
