#include <natgrad/linalg/random.h>
#include <natgrad/variational/expectations.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

using torch::Tensor;

namespace {

struct ValuesAndGradients {
  Tensor values, gradients;  // [S], [S, d]
};

ValuesAndGradients evaluate(const LogJoint& log_joint, const Tensor& points) {
  TORCH_CHECK(!c10::InferenceMode::is_enabled(),
              "natgrad: the log-joint's gradient was asked for inside c10::InferenceMode, which "
              "records no graph; leave that mode.");
  const torch::AutoGradMode enable_grad(true);
  const auto theta = points.detach().requires_grad_(true);
  const auto values = log_joint(theta);
  TORCH_CHECK(values.defined() && values.dim() == 1 && values.size(0) == points.size(0),
              "natgrad: the log-joint of points ", points.sizes(), " is of [", points.size(0),
              "], one number a row, but is ",
              values.defined() ? c10::str("of shape ", values.sizes()) : "undefined",
              "; sum over the data and over θ's own dimension only.");
  TORCH_CHECK(values.requires_grad(),
              "natgrad: the log-joint has no graph to θ: compute it from its argument by "
              "differentiable operations, without detach() or NoGradGuard.");
  const auto gradients =
      torch::autograd::grad({values.sum()}, {theta}, {}, /*retain_graph=*/std::nullopt,
                            /*create_graph=*/false, /*allow_unused=*/true)[0];
  TORCH_CHECK(gradients.defined(), "natgrad: the log-joint does not depend on θ, its argument.");
  return {values.detach(), gradients.detach()};
}

/// Means over the points μ + σ ⊙ ε and μ - σ ⊙ ε, for ε of [k, d].
Expectations average_over_pairs(const LogJoint& log_joint, const MeanFieldGaussian& q,
                                const Tensor& epsilon) {
  const auto shift = q.standard_deviation() * epsilon;
  const auto [values, gradients] =
      evaluate(log_joint, torch::cat({q.mean() + shift, q.mean() - shift}));
  const auto sides = gradients.chunk(2);
  // The points are rounded: the slope is over the distance they really have.
  const auto apart = ((q.mean() + shift) - (q.mean() - shift)) / 2;
  const auto ratio = torch::where(apart.ne(0), shift / apart, torch::ones_like(apart));
  const auto slopes = epsilon * (sides[0] - sides[1]) / 2 * ratio;
  return {values.mean(), gradients.mean(0), slopes.mean(0) / q.standard_deviation()};
}

}  // namespace

Expectations expectations_by_cubature(const LogJoint& log_joint, const MeanFieldGaussian& q) {
  const double radius = std::sqrt(static_cast<double>(q.size()));
  return average_over_pairs(log_joint, q, radius * torch::eye(q.size(), q.mean().options()));
}

Expectations expectations_by_sampling(const LogJoint& log_joint, const MeanFieldGaussian& q,
                                      int64_t pairs, at::Generator generator) {
  TORCH_CHECK(pairs >= 1, "natgrad: expectations take at least one pair of samples, but got ",
              pairs, ".");
  return average_over_pairs(log_joint, q,
                            random_normal({pairs, q.size()}, q.mean().options(), generator));
}

}  // namespace natgrad
