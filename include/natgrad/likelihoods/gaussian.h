#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/diagonal_gaussian.h>

namespace natgrad {

/// Independent Gaussian outputs around z with a fixed variance: with variance 1 the loss of
/// ½(y - z)², half of `mse_loss` with reduction sum.
///
///     log r = -(y - z)²/(2σ²) - ½ log(2πσ²),  score = (y - z)/σ²,  F_R = 1/σ²,  B = 1/σ.
///
/// -∇²log r = F_R for every y. y: floating, z's shape, finite.
class NATGRAD_EXPORT Gaussian final : public DiagonalGaussian {
 public:
  /// `variance` in the square of y's units. Throws unless it is positive and finite.
  explicit Gaussian(torch::Tensor mean, double variance = 1);

  std::string describe() const override;

 private:
  double variance_;
};

}  // namespace natgrad
