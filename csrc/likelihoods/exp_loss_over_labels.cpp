#include <fmt/format.h>
#include <natgrad/likelihoods/exp_loss_over_labels.h>
#include <torch/torch.h>

#include <cmath>

#include "likelihoods/differentiate.h"
#include "likelihoods/excess.h"
#include "likelihoods/fixed_tensor.h"
#include "likelihoods/semidefinite.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

// Sums of M numbers in double; a user's tables of float32 numbers shift all of them alike.
constexpr double kSameNormaliser = 1e-6;
// Of a row's L alone and among others: the order of sums in a matrix product.
constexpr double kSameRow = 1e-9;
constexpr double kSameHessian = 1e-8;

/// 0, ..., 0, 1, ..., M - 1, each `rows` times.
Tensor every_label(int64_t labels, int64_t rows, const Tensor& z) {
  return torch::arange(labels, z.options().dtype(torch::kLong)).repeat_interleave(rows);
}

/// F^½ of symmetric matrices, with what rounding leaves below zero as zero.
Tensor symmetric_root(const Tensor& f) {
  const auto [eigenvalues, vectors] = torch::linalg_eigh(f.nan_to_num());
  const auto half = vectors * eigenvalues.clamp_min(0).sqrt().unsqueeze(-2);
  return where_finite(f, half.matmul(vectors.mT()));
}

Tensor multiply_each(const Tensor& matrices, const Tensor& v) {
  const auto wide = v.to(matrices.scalar_type());
  return matrices.matmul(wide.unsqueeze(-1)).squeeze(-1).to(v.scalar_type());
}

Tensor double_of(const Tensor& outputs) { return outputs.detach().to(torch::kDouble); }

}  // namespace

ExpLossOverLabels::ExpLossOverLabels(Tensor outputs, Loss loss, int64_t labels)
    : Likelihood(std::move(outputs)), loss_(std::move(loss)), labels_(labels) {
  const auto& z = this->outputs();
  TORCH_CHECK(loss_, "natgrad: an ExpLossOverLabels needs a function, but got none.");
  TORCH_CHECK(labels >= 2, "natgrad: an ExpLossOverLabels has at least two labels, but got ",
              labels, ".");
  TORCH_CHECK(z.dim() == 2, "natgrad: an ExpLossOverLabels needs outputs of shape [N, K], but got ",
              z.sizes(), "; of one output for each target, take ExpLoss.");
  const torch::AutoGradMode with_graph(true);  // for `check_fixed` to see one
  const auto checked = double_of(z).index({finite_rows(z)});
  text_ = fmt::format("ExpLossOverLabels({} labels, ", labels);
  if (checked.size(0) == 0) return;
  const auto all = losses(checked);
  check_fixed(all, "the loss of an ExpLossOverLabels");
  check_losses(all);
  const auto one = this->loss(every_label(1, 1, checked), checked.narrow(0, 0, 1));
  TORCH_CHECK_VALUE((one - all[0][0]).abs().item<double>() <=
                        kSameRow * std::max(1., all[0][0].abs().item<double>()),
                    "natgrad: the loss of an ExpLossOverLabels mixes the examples: that of one "
                    "depends on the rows beside it. Sum over dimension 1, not over dimension 0.");
  log_normaliser_ = (-all).logsumexp(0).mean().item<double>();
  text_ += fingerprint(all);
}

std::string ExpLossOverLabels::describe() const { return text_ + ")"; }

bool ExpLossOverLabels::same_family(const Likelihood& other) const {
  const auto* family = dynamic_cast<const ExpLossOverLabels*>(&other);
  if (!family || family->labels_ != labels_ || family->outputs().size(1) != outputs().size(1)) {
    return false;
  }
  const torch::NoGradGuard no_grad;
  const auto z = double_of(outputs());
  return torch::equal(losses(z), family->losses(z));
}

Tensor ExpLossOverLabels::loss(const Tensor& y, const Tensor& z) const {
  const auto value = loss_(y, z);
  TORCH_CHECK(value.defined() && value.sizes() == y.sizes() && value.is_floating_point(),
              "natgrad: the loss of an ExpLossOverLabels gives one real number a row, of shape ",
              y.sizes(), " for outputs ", z.sizes(), ", but gave ",
              value.defined() ? c10::str(value.dtype(), " ", value.sizes()) : "nothing",
              ". Leave out sums and means over the rows.");
  return value;
}

Tensor ExpLossOverLabels::losses(const Tensor& z) const {
  return loss(every_label(labels_, z.size(0), z), z.repeat({labels_, 1}))
      .view({labels_, z.size(0)});
}

void ExpLossOverLabels::check_losses(const Tensor& losses) const {
  const auto bad = losses.isnan().logical_or(losses.isneginf());
  check_support(losses, bad.logical_not(), "the loss of an ExpLossOverLabels is a number above -∞",
                "loss of [label, example]");
  const auto log_z = (-losses).logsumexp(0);
  check_support(log_z, log_z.isfinite(), "some label of an ExpLossOverLabels has a finite loss",
                "log Z");
  const double least = log_z.min().item<double>(), most = log_z.max().item<double>();
  TORCH_CHECK_VALUE(
      most - least <= kSameNormaliser,
      fmt::format("natgrad: ExpLossOverLabels: the normaliser Z(z) = Σ exp(-L(y, z)) over the "
                  "labels is not constant: {:g} for one example and {:g} for another. So L is not "
                  "-log r: that is L + log Z(z), another objective with its own minimum. Add "
                  "log Z(z) to the loss if you mean the distribution; keep the loss as it is with "
                  "natgrad::outputs(z), whose curvature is the Gauss-Newton matrix.",
                  std::exp(least), std::exp(most)));
}

void ExpLossOverLabels::check_targets(const Tensor& y) const {
  check_same_device(y);
  TORCH_CHECK(y.scalar_type() == torch::kLong && y.dim() == 1 && y.size(0) == outputs().size(0),
              "natgrad: ", describe(), " with outputs of shape ", outputs().sizes(),
              " needs int64 labels of shape [", outputs().size(0), "], but got ", y.dtype(), " ",
              y.sizes(), ".");
  check_support(y, y.ge(0).logical_and(y.lt(labels_)),
                fmt::format("a label lies in 0..{}", labels_ - 1));
}

Tensor ExpLossOverLabels::align(const Tensor& per_observation) const {
  return per_observation.unsqueeze(1);
}

Tensor ExpLossOverLabels::compute_log_prob(const Tensor& y) const {
  return -loss(y, outputs()) - log_normaliser_;
}

Tensor ExpLossOverLabels::compute_score(const Tensor& y) const {
  const auto& scores = table().scores;
  const auto at = y.view({1, -1, 1}).expand({1, scores.size(1), scores.size(2)});
  return scores.gather(0, at).squeeze(0).to(outputs().scalar_type());
}

const ExpLossOverLabels::Table& ExpLossOverLabels::table() const {
  return table_.get(outputs(), [this] { return make_table(); });
}

ExpLossOverLabels::Table ExpLossOverLabels::make_table() const {
  const c10::InferenceMode no_inference(false);
  const torch::AutoGradMode with_graph(true);
  const auto z = double_of(outputs()).repeat({labels_, 1}).requires_grad_();
  const auto n = outputs().size(0), k = outputs().size(1);
  const auto l = loss(every_label(labels_, n, z), z);
  const auto slope =
      l.requires_grad() ? torch::autograd::grad({l.sum()}, {z})[0] : torch::zeros_like(z);
  const auto p = (-l.detach().view({labels_, n})).softmax(0);
  const auto scores = torch::where(p.unsqueeze(2) > 0, -slope.view({labels_, n, k}), 0.);
  const auto centred = scores - (p.unsqueeze(2) * scores).sum(0);
  const auto rows = (p.sqrt().unsqueeze(2) * centred).transpose(0, 1);  // [N, M, K]
  const auto fisher = rows.mT().matmul(rows);
  return {z.detach().narrow(0, 0, n), p, scores, fisher, symmetric_root(fisher),
          generalised_inverse(fisher)};
}

Tensor ExpLossOverLabels::fisher_multiply(const Tensor& v) const {
  return multiply_each(table().fisher, v);
}

Tensor ExpLossOverLabels::factor_multiply(const Tensor& r) const {
  return multiply_each(table().factor, r);
}

Tensor ExpLossOverLabels::fisher_solve(const Tensor& v) const {
  return multiply_each(table().inverse, v);
}

// By the Gumbel-max trick.
Tensor ExpLossOverLabels::sample(std::optional<at::Generator> generator) const {
  const torch::NoGradGuard no_grad;
  const auto& p = table().probabilities;
  const auto exponential = torch::empty_like(p).exponential_(1, std::move(generator));
  return (p.log() - exponential.log()).argmax(0);
}

bool ExpLossOverLabels::hessian_is_fisher() const {
  const auto& [z, p, scores, fisher, factor, inverse] = table();
  const c10::InferenceMode no_inference(false);
  const torch::AutoGradMode with_graph(true);
  const auto at = z.repeat({labels_, 1}).requires_grad_();
  const auto l = loss(every_label(labels_, z.size(0), z), at);
  if (!l.requires_grad()) return fisher.eq(0).all().item<bool>();
  const auto slope = torch::autograd::grad({l.sum()}, {at}, {}, true, /*create_graph=*/true)[0];
  const auto size = fisher.abs().amax({1, 2}).view({1, -1});
  for (int64_t k = 0; k < z.size(1); ++k) {
    auto column = torch::zeros_like(at);
    if (slope.requires_grad()) {
      const auto product = torch::autograd::grad({slope.select(1, k).sum()}, {at}, {}, true, false,
                                                 /*allow_unused=*/true)[0];
      if (product.defined()) column = product;
    }
    const auto apart = column.view(scores.sizes()) - fisher.select(2, k).unsqueeze(0);
    const auto same = apart.abs().amax(2) <= kSameHessian * size;
    if (!same.logical_or(p.eq(0)).all().item<bool>()) return false;
  }
  return true;
}

Tensor ExpLossOverLabels::compute_kl(const Likelihood& other) const {
  const auto l = losses(outputs()), there = losses(other.outputs());
  const auto r = (-l - log_normaliser_).exp();
  // Σ r (L' - L) = log Σ r exp(c), c = L - L' less its mean: of second order, term by term.
  const auto change = torch::where(r > 0, l - there, 0);
  const auto c = torch::where(r > 0, change - (r * change).sum(0, /*keepdim=*/true), 0);
  const double limit = 0.9 * std::log(largest_number_of(c.options()));
  const auto is_near = c.amax(0) < limit;
  const auto near = torch::log1p((r * exp_excess(torch::where(is_near, c, 0))).sum(0));
  return torch::where(is_near, near, -(r * change).sum(0));
}

}  // namespace natgrad
