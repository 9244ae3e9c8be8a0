#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/likelihoods/likelihood.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <optional>

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

Tensor Likelihood::fisher_solve(const Tensor&) const {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "natgrad: ", describe(),
                              " does not say how to solve with its Fisher matrix; override "
                              "fisher_solve(v) with a w for which fisher_multiply(w) is v.");
}

Tensor Likelihood::kl(const Likelihood& other) const {
  const auto &z = outputs_, &moved = other.outputs();
  TORCH_CHECK_VALUE(z.scalar_type() == moved.scalar_type() && z.device() == moved.device(),
                    "natgrad: the KL divergence is between outputs of one dtype on one device, but "
                    "got ",
                    z.toString(), " and ", moved.toString(), "; convert one with .to().");
  TORCH_CHECK_VALUE(same_family(other),
                    "natgrad: the KL divergence is between two of one family with the same fixed "
                    "parameters, but got ",
                    describe(), " and ", other.describe(), ".");
  TORCH_CHECK_VALUE(z.sizes() == moved.sizes(),
                    "natgrad: the KL divergence is between outputs of one shape, but got ",
                    z.sizes(), " and ", moved.sizes(), ".");
  return compute_kl(other);
}

Tensor Likelihood::compute_kl(const Likelihood&) const {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "natgrad: ", describe(),
                              " does not say its KL divergence; override compute_kl(other), for "
                              "outputs of the same shape.");
}

int64_t Likelihood::observations() const {
  return outputs_.numel() / std::max<int64_t>(outputs_per_observation(), 1);
}

Likelihood::ScoreFactor Likelihood::score_factor(const Tensor& score) const {
  const torch::NoGradGuard no_grad;
  if (outputs_per_observation() == 1) {
    const auto root = factor_multiply(torch::ones_like(score)).abs();
    const auto is_known = root > std::sqrt(smallest_normal(score));  // F_R has not underflowed
    const auto q = torch::where(is_known, root, score.abs() / longest_score(score));
    return {q, torch::where(q > 0, score / q, 0)};
  }
  TORCH_CHECK(observations() == examples(), "natgrad: the score factor of ", describe(),
              " is known where each example is one observation, but ", examples(),
              " examples hold ", observations(), ".");
  std::vector<int64_t> shape(static_cast<size_t>(score.dim()), 1);
  shape[0] = examples();
  const auto square = (score * fisher_solve(score)).reshape({examples(), -1}).sum(1);
  const auto c = square.clamp_min(0).sqrt().clamp_max(longest_score(score)).view(shape);
  return {torch::where(c > 0, score / c, 0), c};
}

std::optional<Likelihood::OutputChange> Likelihood::output_change(const Tensor&,
                                                                  const Tensor&) const {
  return std::nullopt;
}

std::optional<Tensor> Likelihood::target_covariance_multiply(const Tensor&, const Tensor&) const {
  return std::nullopt;
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

void Likelihood::check_real(const Tensor& y, at::IntArrayRef expected, const char* family) const {
  check_shape(y, expected);
  check_support(y, y.isfinite(), fmt::format("a {} target is finite", family));
}

namespace {

/// "`what`, but y[i, j] = value" of the first invalid element; nothing if there is none.
std::optional<std::string> complaint(const Tensor& y, const Tensor& valid, const std::string& what,
                                     const std::string& name) {
  if (valid.all().item<bool>()) return std::nullopt;
  const auto flat = valid.logical_not().reshape(-1).to(torch::kUInt8).argmax().item<int64_t>();
  std::vector<int64_t> position(y.dim());
  for (int64_t d = y.dim() - 1, rest = flat; d >= 0; --d) {
    position[d] = rest % y.size(d);
    rest /= y.size(d);
  }
  const double value = y.reshape(-1)[flat].item<double>();
  return fmt::format("natgrad: {}, but {}[{}] = {:g}.", what, name, fmt::join(position, ", "),
                     value);
}

}  // namespace

void check_support(const Tensor& y, const Tensor& valid, const std::string& what,
                   const std::string& name) {
  const auto text = complaint(y, valid, what, name);
  TORCH_CHECK_VALUE(!text, *text);
}

void check_domain(const Tensor& z, const Tensor& valid, const std::string& what,
                  const std::string& name) {
  if (const auto text = complaint(z, valid, what, name)) {
    throw OutsideDomain({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, *text);
  }
}

}  // namespace natgrad
