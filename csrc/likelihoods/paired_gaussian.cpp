#include <natgrad/likelihoods/paired_gaussian.h>
#include <torch/torch.h>

#include "paired_outputs.h"

namespace natgrad {

using torch::Tensor;

PairedGaussian::PairedGaussian(Tensor outputs) : Likelihood(std::move(outputs)) {
  check_paired(this->outputs(), "a family of Gaussians by two outputs each");
}

PairedGaussian::Pair PairedGaussian::split(const Tensor& t) {
  const auto [first, second] = split_outputs(t);
  return {first, second};
}

Tensor PairedGaussian::join(const Tensor& first, const Tensor& second) {
  return join_outputs(first, second);
}

Tensor PairedGaussian::align(const Tensor& per_observation) const {
  return join(per_observation, per_observation);
}

void PairedGaussian::check_targets(const Tensor& y) const {
  auto expected = outputs().sizes().vec();
  expected[1] /= 2;
  check_shape(y, expected);
  check_support(y, y.isfinite(), "a Gaussian target is finite");
}

Tensor PairedGaussian::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto center = mean();
  const auto noise = torch::empty_like(center).normal_(0, 1, std::move(generator));
  return center + standard_deviation() * noise;
}

}  // namespace natgrad
