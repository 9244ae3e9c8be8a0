#pragma once

#include <memory>
#include <string>

#include "support/outcomes.h"

namespace examples {

/// What a network's outputs z mean: the distribution r(y|z). Told twice, by code that shares
/// nothing: by the loss, as a user of natgrad writes it, and by log r as a textbook has it.
class OutputModel {
 public:
  virtual ~OutputModel() = default;

  virtual std::string name() const = 0;
  /// How many numbers the last layer puts out.
  virtual int64_t width() const = 0;
  /// z, [N, K], from the last layer: what is done here is part of the network f.
  virtual torch::Tensor outputs(const torch::Tensor& last_layer) const { return last_layer; }
  /// Observed targets that the model knows nothing about: real data never follow the model.
  virtual torch::Tensor observed_targets(int64_t examples) const = 0;

  /// For routes (a) and (b): h = (1/N) Σ -log r(yₙ|zₙ), up to a constant.
  virtual torch::Tensor loss(const torch::Tensor& z, const torch::Tensor& y) const = 0;

  /// For routes (c) and (d): log r(y|z) of each example, [N], up to a constant.
  virtual torch::Tensor log_r(const torch::Tensor& z, const torch::Tensor& y) const = 0;
  /// For routes (c) and (d): all y with their probabilities, or the points of a quadrature.
  virtual std::vector<Outcome> outcomes(const torch::Tensor& z) const = 0;
};

using OutputModelPtr = std::shared_ptr<const OutputModel>;

/// Four classes.
OutputModelPtr softmax_outputs();
/// Three independent bits.
OutputModelPtr bernoulli_outputs();
/// Two means; the variance is fixed.
OutputModelPtr gaussian_outputs();
/// Two Gaussians by their natural parameters a = μ/σ², b = -1/(2σ²); the network keeps b negative.
OutputModelPtr natural_gaussian_outputs();
/// Two Gaussians by mean and log σ: the same distributions, but these parameters are not natural.
OutputModelPtr log_std_gaussian_outputs();

}  // namespace examples
