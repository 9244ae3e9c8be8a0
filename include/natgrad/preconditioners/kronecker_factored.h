#pragma once

#include <natgrad/export.h>
#include <natgrad/preconditioners/kronecker_factors.h>
#include <natgrad/preconditioners/preconditioner.h>

namespace natgrad {

/// K-FAC (Martens & Grosse 2015; Grosse & Martens 2016 for convolutions): M is the damped inverse
/// of Kronecker factors of the Fisher matrix (kronecker_factors.h), for layers that are found in
/// the graph, with running averages over the batches,
///
///     A ← ε A + (1 - ε) A_batch,  ε = min(1 - 1/k, 0.95) at the k-th batch,
///
/// and so of G and of the diagonal. A batch whose factors are not finite, or were not the same
/// parameters' (layers came or went: then the averages start anew), is not averaged in.
///
/// Factors and inverses need not be of the last step: they are renewed in the first three
/// `observe`s, then every so many (Martens & Grosse 2015, section 8). `at` without `observe` takes
/// the factors of that graph alone.
class NATGRAD_EXPORT KroneckerFactored final : public Preconditioner {
 public:
  /// The largest ε, in [0, 1).
  TORCH_ARG(double, decay) = 0.95;
  /// How the factors of a batch are estimated.
  TORCH_ARG(KroneckerOptions, factors) = {};
  /// Steps from one batch in the averages to the next, ≥ 1.
  TORCH_ARG(int64_t, factor_interval) = 1;
  /// Steps from one inverse to the next, ≥ 1; beyond 1, λ is that of the last one.
  TORCH_ARG(int64_t, inverse_interval) = 1;

 public:
  void observe(const LossGraph& graph, double lambda) override;
  LinearOperator at(const LossGraph& graph, double lambda) const override;
  std::vector<torch::Tensor> state() const override;
  void set_state(const std::vector<torch::Tensor>& state) override;
  std::string describe() const override;
  std::unique_ptr<Preconditioner> clone() const override;

  /// The running averages; no blocks and an undefined diagonal before the first `observe`.
  const KroneckerFactors& averages() const { return averages_; }

 private:
  void check_options() const;
  bool is_due(int64_t interval) const;
  void average_in(const KroneckerFactors& batch);

  bool is_of(const ParameterLayout& parameters) const;
  void forget();

  KroneckerFactors averages_, inverse_;
  std::vector<torch::Tensor> parameters_;  // what `averages_` is of; empty: not known
  torch::Tensor shapes_;       // theirs, after `set_state`, in place of them; may be undefined
  double inverse_lambda_ = 0;  // none yet
  int64_t calls_ = 0, batches_ = 0;
};

}  // namespace natgrad
