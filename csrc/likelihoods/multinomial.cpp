#include <fmt/format.h>
#include <natgrad/likelihoods/multinomial.h>
#include <torch/torch.h>

#include "likelihoods/fixed_tensor.h"
#include "likelihoods/log_factorial.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// Throws unless n counts something in the outputs' dtype.
void check_count(const Tensor& n) {
  const double largest = n.scalar_type() == torch::kDouble ? 0x1p53 : 0x1p24;
  check_support(
      n, is_count(n).logical_and(n <= largest),
      fmt::format("a Multinomial's count is a whole number from 0 to {:.0f}, as far as {} "
                  "counts",
                  largest, toString(n.scalar_type())),
      "count");
}

}  // namespace

Multinomial::Multinomial(Tensor logits, int64_t count, int64_t dim)
    : Likelihood(std::move(logits)),
      categorical_(outputs(), dim),
      dim_(dim < 0 ? dim + outputs().dim() : dim),
      count_(torch::full({}, count, outputs().options().requires_grad(false))),
      count_text_(std::to_string(count)) {
  check_count(count_);
}

Multinomial::Multinomial(Tensor logits, const Tensor& counts, int64_t dim)
    : Likelihood(std::move(logits)),
      categorical_(outputs(), dim),
      dim_(dim < 0 ? dim + outputs().dim() : dim) {
  const auto n = fixed_tensor(as_floating_count(counts, outputs()), outputs(), "count");
  auto expected = outputs().sizes().vec();
  expected.erase(expected.begin() + dim_);
  TORCH_CHECK(n.sizes() == torch::IntArrayRef(expected), "natgrad: a Multinomial on outputs of ",
              "shape ", outputs().sizes(), " with the classes in dimension ", dim_,
              " needs counts of shape ", torch::IntArrayRef(expected), ", but got ", n.sizes(),
              ".");
  check_count(n);
  count_ = n.unsqueeze(dim_);
  count_text_ = fingerprint(n);
}

std::string Multinomial::describe() const {
  return fmt::format("Multinomial(count={}, dim={})", count_text_, dim_);
}

void Multinomial::check_targets(const Tensor& y) const {
  check_same_shape(as_floating_count(y, outputs()));
  check_support(y, is_count(y), "a count is a whole number >= 0");
  const auto sum = y.to(torch::kDouble).sum(dim_, /*keepdim=*/true);
  check_support(sum, sum.eq(count_),
                "the counts of an observation sum to its total count (" + describe() + ")",
                fmt::format("y.sum({}, keepdim)", dim_));
}

// With y! = yʸ e⁻ʸ and its excess, the powers of n and y join log p: where y is likely, log p and
// log(y/n) nearly cancel, and no terms of order n log n are left. In double, as n multiplies what
// rounding leaves.
Tensor Multinomial::compute_log_prob(const Tensor& targets) const {
  const auto log_p = outputs().to(torch::kDouble).log_softmax(dim_);
  const auto y = targets.to(torch::kDouble);
  const auto log_share = (y.clamp_min(1) / count_.clamp_min(1)).log();  // where y > 0
  const auto excess =
      log_factorial_excess(count_) - log_factorial_excess(y).sum(dim_, /*keepdim=*/true);
  const auto log_r = (y * (log_p - log_share)).sum(dim_) + excess.squeeze(dim_);
  return log_r.to(outputs().scalar_type());
}

Tensor Multinomial::compute_score(const Tensor& y) const {
  return y - count_ * outputs().softmax(dim_);
}

Tensor Multinomial::fisher_multiply(const Tensor& v) const {
  return count_ * categorical_.fisher_multiply(v);
}

Tensor Multinomial::factor_multiply(const Tensor& r) const {
  return count_.sqrt() * categorical_.factor_multiply(r);
}

Tensor Multinomial::fisher_solve(const Tensor& v) const {
  return categorical_.fisher_solve(v) / count_.clamp_min(1);
}

std::optional<Likelihood::OutputChange> Multinomial::output_change(const Tensor& score,
                                                                   const Tensor& d) const {
  auto change = categorical_.output_change(score / count_.clamp_min(1), d);
  change->loss = change->loss * count_;
  return change;
}

Tensor Multinomial::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto p = outputs().to(torch::kDouble).softmax(dim_);
  const auto remaining = p.flip(dim_).cumsum(dim_).flip(dim_);
  const auto last = p.size(dim_) - 1;
  auto rest = count_.to(torch::kDouble).expand_as(p.narrow(dim_, 0, 1)).squeeze(dim_).contiguous();
  std::vector<Tensor> counts;
  for (int64_t j = 0; j < last; ++j) {
    const auto share = (p.select(dim_, j) / remaining.select(dim_, j)).nan_to_num(0).clamp(0, 1);
    counts.push_back(torch::binomial(rest, share, generator));
    rest = rest - counts.back();
  }
  counts.push_back(rest);
  return torch::stack(counts, dim_).to(outputs().scalar_type());
}

Tensor Multinomial::compute_kl(const Likelihood& other) const {
  const auto of_one = categorical_.kl(Categorical(other.outputs(), dim_));
  return of_one * (count_.dim() == 0 ? count_ : count_.squeeze(dim_));
}

}  // namespace natgrad
