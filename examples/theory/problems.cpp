#include "theory/problems.h"

#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/optim/presets.h>
#include <torch/torch.h>

#include <cmath>

#include "theory/oracles.h"

namespace examples::theory {

using torch::Tensor;

Tensor normal(at::IntArrayRef shape, uint64_t seed) {
  return torch::randn(shape, at::detail::createCPUGenerator(seed), torch::kDouble);
}

Tensor parameter(at::IntArrayRef shape, uint64_t seed, double scale) {
  return (scale * normal(shape, seed)).requires_grad_();
}

natgrad::ConjugateGradient tight_solver() {
  return natgrad::ConjugateGradient().max_iterations(2000).tolerance(1e-14);
}

natgrad::NaturalGradientOptions plain_natural_gradient(double rate, double lambda) {
  return natgrad::presets::natural_gradient(rate)
      .damping(natgrad::Tikhonov(lambda))
      .solver(tight_solver());
}

Network::Network(int64_t inputs, int64_t units, int64_t outputs, uint64_t seed)
    : parameters_{parameter({units, inputs}, 16 * seed + 1, 1 / std::sqrt(double(inputs))),
                  torch::zeros({units}, torch::kDouble).requires_grad_(),
                  parameter({outputs, units}, 16 * seed + 2, 1 / std::sqrt(double(units))),
                  torch::zeros({outputs}, torch::kDouble).requires_grad_()} {}

Tensor Network::of(const std::vector<Tensor>& theta, const Tensor& x) {
  return torch::linear(torch::linear(x, theta[0], theta[1]).tanh(), theta[2], theta[3]);
}

Tensor Network::theta() const { return flat(parameters_).detach(); }

Tensor Network::at(const Tensor& theta, const Tensor& x) const {
  std::vector<Tensor> pieces;
  int64_t offset = 0;
  for (const auto& parameter : parameters_) {
    pieces.push_back(theta.narrow(0, offset, parameter.numel()).view(parameter.sizes()));
    offset += parameter.numel();
  }
  return of(pieces, x);
}

void Network::assign(const Tensor& theta) const {
  const torch::NoGradGuard no_grad;
  int64_t offset = 0;
  for (const auto& parameter : parameters_) {
    parameter.copy_(theta.narrow(0, offset, parameter.numel()).view(parameter.sizes()));
    offset += parameter.numel();
  }
}

Digits Digits::rows(const Tensor& indices) const {
  return {pixels.index_select(0, indices), coarse.index_select(0, indices),
          labels.index_select(0, indices)};
}

Digits some_digits(const Material& material, int64_t count) {
  const auto generator = at::detail::createCPUGenerator(material.seed);
  const auto& all = material.digits.train;
  const auto chosen = select(all, shuffled_rows(all.data.size(0), generator).narrow(0, 0, count));
  const auto pixels = chosen.data.to(torch::kDouble);
  return {pixels, torch::avg_pool2d(pixels.view({-1, 1, 8, 8}), 2).view({-1, 16}), chosen.target};
}

Classifier::Classifier(const Material& material, int64_t count, int64_t units, uint64_t variant)
    : digits(some_digits(material, count)),
      network(16, units, 10, 1000 * material.seed + variant) {}

Tensor Classifier::loss(const Tensor& z, const Tensor& labels) {
  return torch::nn::functional::cross_entropy(z, labels);
}

Tensor Classifier::loss_of(int64_t example) const {
  return loss(network(digits.coarse.narrow(0, example, 1)), digits.labels.narrow(0, example, 1));
}

Completion::Completion(const Digits& digits)
    : x(digits.coarse.narrow(1, 0, 8)), y(digits.coarse.narrow(1, 8, 8)) {}

Beetles::Beetles()
    : dose(torch::tensor({1.6907, 1.7242, 1.7552, 1.7842, 1.8113, 1.8369, 1.8610, 1.8839},
                         torch::kDouble)),
      count(torch::tensor({59., 60., 62., 56., 63., 59., 62., 60.}, torch::kDouble)),
      killed(torch::tensor({6., 13., 18., 28., 52., 53., 61., 60.}, torch::kDouble)) {}

Tensor Beetles::loss(const Tensor& theta) const {
  const auto each = natgrad::nll(natgrad::Bernoulli(logits(theta)), share(), at::Reduction::None);
  return (weights() * each).sum();
}

Tensor Beetles::start() { return torch::tensor({-30., 17.}, torch::kDouble).requires_grad_(); }

}  // namespace examples::theory
