#pragma once

#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent Gaussians by two outputs each, the common part of `NaturalGaussian`,
/// `LogStdGaussian` and `LogVarianceGaussian`.
///
/// z: [N, 2M, ...], along dimension 1 the M first parameters and then the M second ones. y:
/// floating, [N, M, ...], finite; one observation each.
class PairedGaussian : public Likelihood {
 public:
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 protected:
  /// Throws unless z has the shape above.
  explicit PairedGaussian(torch::Tensor outputs);

  virtual torch::Tensor mean() const = 0;
  virtual torch::Tensor standard_deviation() const = 0;

  struct Pair {
    torch::Tensor first, second;
  };
  /// A tensor shaped like z as its two halves, [N, M, ...] each.
  static Pair split(const torch::Tensor& t);
  static torch::Tensor join(const torch::Tensor& first, const torch::Tensor& second);
};

}  // namespace natgrad
