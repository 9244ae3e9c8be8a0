#include "optim/clipped_gradients.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Two passes in float32 agree to that, of a gradient's norm; what was clipped by less goes unsaid.
constexpr double kAgreement = 1e-3;

double dot_of(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] * b[i]).sum(torch::kDouble).item<double>();
  return sum;
}

double largest_of(const std::vector<Tensor>& tensors) {
  double largest = 0;
  for (const auto& t : tensors) {
    if (t.numel() > 0) largest = std::max(largest, t.abs().max().item<double>());
  }
  return largest;
}

/// ‖a - f(b)‖² for f elementwise.
template <class F>
double squared_distance(const std::vector<Tensor>& a, const std::vector<Tensor>& b, F f) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += (a[i] - f(b[i])).square().sum(torch::kDouble).template item<double>();
  }
  return sum;
}

}  // namespace

std::string describe_clipping(const std::vector<Tensor>& parameters,
                              const std::vector<Tensor>& gradient) {
  std::vector<Tensor> grads;
  for (const auto& parameter : parameters) {
    const auto& grad = parameter.grad();
    if (!grad.defined() || grad.layout() != torch::kStrided) return {};
    grads.push_back(grad.detach());
  }
  const double length = dot_of(grads, grads);
  const double share = dot_of(grads, gradient) / dot_of(gradient, gradient);
  const double allowed = kAgreement * kAgreement * length;
  if (!(length > 0) || !(share > 0)) return {};
  const char* advice =
      "A step reads no .grad, so that changes nothing: leave backward() out and give "
      "NaturalGradientOptions().";
  const auto scaled = [share](const Tensor& g) { return share * g; };
  if (share < 1 - kAgreement && squared_distance(grads, gradient, scaled) <= allowed) {
    return fmt::format(
        "the parameters' .grad is {:.3g} times the gradient of the loss, as clip_grad_norm_ leaves "
        "it. {}max_gradient_norm({:.3g}) or .max_step_norm(c) instead",
        share, advice, std::sqrt(length));
  }
  const double limit = largest_of(grads);
  const auto clamped = [limit](const Tensor& g) { return g.clamp(-limit, limit); };
  if (limit < (1 - kAgreement) * largest_of(gradient) &&
      squared_distance(grads, gradient, clamped) <= allowed) {
    return fmt::format(
        "the parameters' .grad is the gradient of the loss with its elements clamped to {:.3g}, as "
        "clip_grad_value_ leaves it. {}max_gradient_norm(c) or .max_step_norm(c) instead",
        limit, advice);
  }
  return {};
}

}  // namespace natgrad::detail
