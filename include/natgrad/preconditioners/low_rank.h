#pragma once

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/export.h>
#include <natgrad/linalg/parameters.h>
#include <natgrad/preconditioners/preconditioner.h>
#include <torch/arg.h>

namespace natgrad {

/// M = (RᵀR + λI)⁻¹ with the rows R of the empirical Fisher matrix, or its leading eigenvectors
/// (Le Roux, Manzagol & Bengio 2007), by the identity of Woodbury on their Gram matrix:
///
///     M v = (v - Rᵀ(RRᵀ + λI)⁻¹ R v)/λ.
///
/// With a `decay` γ > 0 it is TONGA as it goes along with the batches: the discounted covariance of
/// all gradients so far, of which so many leading eigenvectors are kept,
///
///     C_t = γ C_{t-1} + R_tᵀR_t,  M = (C_t/Σγˢ + λI)⁻¹,
///
/// divided by the discounts so that it is normalised as the loss is, from the first batch on. The
/// step of Le Roux et al., with that for their C_t and so another unit of λ, is then
///
/// ```cpp
/// const auto options = natgrad::NaturalGradientOptions(0.1)
///                          .damping(natgrad::Tikhonov(0.01))
///                          .solver(natgrad::ApproximateInverse())
///                          .preconditioner(natgrad::LowRank().rank(20).decay(0.95));
/// ```
///
/// What it keeps is saved with the optimizer. A batch whose gradients are not finite is left out;
/// other parameters start anew.
///
/// Takes any loss with examples. Costs the gradients of all examples, [N, P], 2 N² P operations and
/// a Cholesky factorisation of [N, N] once, then 4 N P a product; with a decay the same of N + k
/// rows, k the rank. Throws as `empirical_fisher_rows` does, for a rank below 0, and for a decay
/// without a rank or not in [0, 1).
class NATGRAD_EXPORT LowRank final : public Preconditioner {
 public:
  /// Keeps the leading eigenvectors only, so many; 0 for all.
  TORCH_ARG(int64_t, rank) = 0;
  /// `Centred` for the covariance proper.
  TORCH_ARG(Moment, moment) = Moment::Uncentred;
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;
  /// γ in [0, 1); 0: of each batch by itself.
  TORCH_ARG(double, decay) = 0;

 public:
  void observe(const LossGraph& graph, double lambda) override;
  LinearOperator at(const LossGraph& graph, double lambda) const override;
  std::vector<torch::Tensor> state() const override;
  void set_state(const std::vector<torch::Tensor>& state) override;
  std::string describe() const override;
  std::unique_ptr<Preconditioner> clone() const override;

 private:
  void check_options() const;
  /// This batch's rows, or their leading ones.
  torch::Tensor rows_of(const LossGraph& graph) const;
  bool is_of(const ParameterLayout& parameters) const;
  void forget();

  torch::Tensor rows_;                     // X of C_t = XᵀX, [k, P]; undefined at first
  double weight_ = 0;                      // Σγˢ
  std::vector<torch::Tensor> parameters_;  // what `rows_` is of; empty: not known
  torch::Tensor shapes_;  // theirs, after `set_state`, in place of them; may be undefined
};

}  // namespace natgrad
