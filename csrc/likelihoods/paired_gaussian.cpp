#include <natgrad/likelihoods/paired_gaussian.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

PairedGaussian::PairedGaussian(Tensor outputs) : Likelihood(std::move(outputs)) {
  const auto& z = this->outputs();
  TORCH_CHECK(z.dim() >= 2 && z.size(1) % 2 == 0,
              "natgrad: Gaussians by two outputs each need outputs of shape [N, 2M, ...], the M "
              "first parameters and then the M second ones, but got ",
              z.sizes(), ".");
}

PairedGaussian::Pair PairedGaussian::split(const Tensor& t) {
  const auto half = t.size(1) / 2;
  return {t.narrow(1, 0, half), t.narrow(1, half, half)};
}

Tensor PairedGaussian::join(const Tensor& first, const Tensor& second) {
  return torch::cat({first, second}, 1);
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
