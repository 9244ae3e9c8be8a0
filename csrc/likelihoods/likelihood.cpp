#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/likelihoods/likelihood.h>
#include <torch/torch.h>

#include "likelihoods/longest_score.h"

namespace natgrad {

using torch::Tensor;

namespace {

Tensor in_precision_of(const Tensor& outputs, const Tensor& y) {
  return y.is_floating_point() ? y.to(outputs.scalar_type()) : y;
}

}  // namespace

Likelihood::Likelihood(Tensor outputs) : outputs_(std::move(outputs)) {
  TORCH_CHECK(outputs_.defined(),
              "natgrad: a likelihood needs the network's outputs, but got none.");
  TORCH_CHECK(outputs_.is_floating_point(), "natgrad: a likelihood needs real outputs, but got ",
              outputs_.dtype(), ".");
}

Tensor Likelihood::log_prob(const Tensor& y) const {
  check_targets(y);
  return compute_log_prob(in_precision_of(outputs_, y));
}

Tensor Likelihood::score(const Tensor& y) const {
  check_targets(y);
  return compute_score(in_precision_of(outputs_, y));
}

Likelihood::ScoreFactor Likelihood::score_factor(const Tensor& score) const {
  TORCH_CHECK(outputs_per_observation() == 1, "natgrad: the score rows of ", describe(),
              " are not known: several of its outputs make one observation. Take "
              "natgrad::Fisher().");
  const torch::NoGradGuard no_grad;
  const auto root = factor_multiply(torch::ones_like(score)).abs();
  const auto q = torch::maximum(root, score.abs() / kLongestScore);
  return {q, torch::where(q > 0, score / q, 0)};
}

void Likelihood::check_same_device(const Tensor& y) const {
  TORCH_CHECK(y.defined(), "natgrad: ", describe(), " needs targets, but got an undefined tensor.");
  TORCH_CHECK(y.device() == outputs_.device(), "natgrad: the targets are on ", y.device(),
              " but the outputs on ", outputs_.device(), "; move the targets with .to().");
}

void Likelihood::check_same_shape(const Tensor& y) const { check_shape(y, outputs_.sizes()); }

void Likelihood::check_shape(const Tensor& y, at::IntArrayRef expected) const {
  check_same_device(y);
  TORCH_CHECK(y.sizes() == expected, "natgrad: ", describe(), " has outputs of shape ",
              outputs_.sizes(), " and needs targets of shape ", expected, ", but got ", y.sizes(),
              "; broadcasting one against the other would pair every output with every target. "
              "Use view_as or unsqueeze.");
  TORCH_CHECK(y.is_floating_point(), "natgrad: ", describe(),
              " needs floating-point targets, but got ", y.dtype(),
              "; convert them with .to(outputs.dtype()).");
}

void check_support(const Tensor& y, const Tensor& valid, const std::string& what,
                   const std::string& name) {
  if (valid.all().item<bool>()) return;
  const auto flat = valid.logical_not().reshape(-1).to(torch::kUInt8).argmax().item<int64_t>();
  std::vector<int64_t> position(y.dim());
  for (int64_t d = y.dim() - 1, rest = flat; d >= 0; --d) {
    position[d] = rest % y.size(d);
    rest /= y.size(d);
  }
  const double value = y.reshape(-1)[flat].item<double>();
  TORCH_CHECK_VALUE(false, fmt::format("natgrad: {}, but {}[{}] = {:g}.", what, name,
                                       fmt::join(position, ", "), value));
}

}  // namespace natgrad
