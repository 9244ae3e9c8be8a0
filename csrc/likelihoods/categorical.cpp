#include <fmt/format.h>
#include <natgrad/likelihoods/categorical.h>
#include <torch/torch.h>

#include <cmath>

#include "libtorch/plain_arithmetic.h"
#include "likelihoods/divided.h"
#include "likelihoods/excess.h"
#include "likelihoods/longest_score.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

// Probabilities that a network or a table gives in float32 sum to one within this.
constexpr double kSumTolerance = 1e-4;

Categorical::Categorical(Tensor logits, int64_t dim) : Likelihood(std::move(logits)) {
  const auto dims = outputs().dim();
  TORCH_CHECK(dims >= 1 && dim >= -dims && dim < dims, "natgrad: Categorical over dimension ", dim,
              " of outputs of shape ", outputs().sizes(),
              ": there is no such dimension. Outputs are [N, K], or [K] with dim = 0.");
  dim_ = dim < 0 ? dim + dims : dim;
}

std::string Categorical::describe() const { return fmt::format("Categorical(dim={})", dim_); }

void Categorical::check_targets(const Tensor& y) const {
  if (y.defined() && y.is_floating_point()) {
    TORCH_CHECK(
        y.dim() == outputs().dim(), "natgrad: class indices are int64, but got ", y.dtype(),
        "; convert them with .to(torch::kLong). (Class probabilities have the outputs' shape ",
        outputs().sizes(), ".)");
    check_same_shape(y);
    check_support(y, y.ge(0).logical_and(y.isfinite()), "class probabilities are numbers >= 0");
    const auto sums = y.sum(dim_, /*keepdim=*/true).expand_as(y);
    return check_support(y, (sums - 1).abs() <= kSumTolerance,
                         "class probabilities sum to 1 (weigh the examples instead)");
  }
  check_same_device(y);
  TORCH_CHECK(y.scalar_type() == torch::kLong, "natgrad: class indices are int64, but got ",
              y.dtype(), "; convert them with .to(torch::kLong).");
  auto expected = outputs().sizes().vec();
  const auto classes = expected[dim_];
  expected.erase(expected.begin() + dim_);
  TORCH_CHECK(y.sizes() == torch::IntArrayRef(expected), "natgrad: outputs of shape ",
              outputs().sizes(), " with the classes in dimension ", dim_,
              " need class indices of shape ", torch::IntArrayRef(expected), ", but got ",
              y.sizes(), ".");
  check_support(y, y.ge(0).logical_and(y.lt(classes)),
                fmt::format("a class index lies in 0..{}", classes - 1));
}

Tensor Categorical::compute_log_prob(const Tensor& y) const {
  const auto log_p = outputs().log_softmax(dim_);
  if (y.is_floating_point()) return (y * log_p).sum(dim_);
  return log_p.gather(dim_, y.unsqueeze(dim_)).squeeze(dim_);
}

Tensor Categorical::compute_score(const Tensor& y) const {
  const auto p = outputs().softmax(dim_);
  if (y.is_floating_point()) return y - p * y.sum(dim_, /*keepdim=*/true);
  return (-p).scatter_add(dim_, y.unsqueeze(dim_),
                          torch::ones_like(y.unsqueeze(dim_), p.options()));
}

const Categorical::Probabilities& Categorical::probabilities() const {
  return probabilities_.get(outputs(), [this]() -> Probabilities {
    const auto p = outputs().detach().softmax(dim_);
    return {p, p.argmax(dim_, /*keepdim=*/true)};
  });
}

Tensor Categorical::fisher_multiply(const Tensor& v) const {
  const auto& [p, most_likely] = probabilities();
  const auto pw = p * (v - v.gather(dim_, most_likely));
  return pw - p * pw.sum(dim_, /*keepdim=*/true);
}

Tensor Categorical::factor_multiply(const Tensor& r) const {
  const auto& p = probabilities().p;
  const auto root_r = p.sqrt() * r;
  return root_r - p * root_r.sum(dim_, /*keepdim=*/true);
}

Tensor Categorical::fisher_solve(const Tensor& v) const { return divided(v, probabilities().p); }

Likelihood::ScoreFactor Categorical::score_factor(const Tensor& score) const {
  const PlainArithmetic plain;
  // Scores sum to zero: the largest is minus the others' sum, which keeps the digits of 1 - p_y.
  const auto observed = score.argmax(dim_, /*keepdim=*/true);
  const auto others = score.scatter(dim_, observed, 0).sum(dim_, /*keepdim=*/true);
  const auto s = score.scatter(dim_, observed, -others);
  // s (s/p): neither p nor s² need be a normal number.
  const auto squares = s * divided(s, probabilities().p);
  // From below: where the squares have underflowed, s/c stays a number, and at most about one.
  const double shortest = std::sqrt(smallest_normal(score)), longest = longest_score(score);
  const auto c = squares.sum(dim_, /*keepdim=*/true).sqrt().clamp(shortest, longest);
  return {s / c, c};
}

// With y = score + p: log Σ exp(z + d) - log Σ exp(z) - yᵀd.
std::optional<Likelihood::OutputChange> Categorical::output_change(const Tensor& score,
                                                                   const Tensor& d) const {
  const auto log_p = outputs().detach().log_softmax(dim_);
  const auto bent = (log_p + d).logsumexp(dim_, /*keepdim=*/true) -
                    (probabilities().p * d).sum(dim_, /*keepdim=*/true);
  return OutputChange{bent - (score * d).sum(dim_, /*keepdim=*/true),
                      d.amax(dim_, /*keepdim=*/true) - d.amin(dim_, /*keepdim=*/true)};
}

std::optional<Tensor> Categorical::target_covariance_multiply(const Tensor& mean_score,
                                                              const Tensor& v) const {
  const auto mass = (mean_score + probabilities().p).clamp_min(0);
  const auto q = mass / mass.sum(dim_, /*keepdim=*/true);
  const auto w = v - v.gather(dim_, q.argmax(dim_, /*keepdim=*/true));
  return q * (w - (q * w).sum(dim_, /*keepdim=*/true));
}

Tensor Categorical::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto exponential = torch::empty_like(outputs()).exponential_(1, std::move(generator));
  return (outputs() - exponential.log()).argmax(dim_);
}

Tensor Categorical::align(const Tensor& per_observation) const {
  return per_observation.unsqueeze(dim_);
}

// With d less its mean under p, of which the most likely class's part is subtracted first as in
// F_R v: log Σ p e^d = log(1 + Σ p (e^d - 1 - d)), where no term is negative. Where e^d overflows,
// or is infinite for a class that is ruled out, by the definition.
Tensor Categorical::compute_kl(const Likelihood& other) const {
  const auto log_p = outputs().log_softmax(dim_), p = log_p.exp();
  const auto change = change_of(outputs(), other.outputs());
  const auto is_known = change.isfinite().all(dim_, /*keepdim=*/true);
  const auto d = torch::where(is_known, change, 0);
  const auto w = d - d.gather(dim_, p.argmax(dim_, /*keepdim=*/true));
  const auto centred = w - (p * w).sum(dim_, /*keepdim=*/true);
  const double limit = 0.9 * std::log(largest_number_of(d.options()));
  const auto is_near = is_known.logical_and(centred.amax(dim_, /*keepdim=*/true) < limit);
  const auto near =
      torch::log1p((p * exp_excess(torch::where(is_near, centred, 0))).sum(dim_, true));
  const auto ratio = torch::where(p > 0, log_p - other.outputs().log_softmax(dim_), 0);
  return torch::where(is_near, near, (p * ratio).sum(dim_, true)).squeeze(dim_);
}

}  // namespace natgrad
