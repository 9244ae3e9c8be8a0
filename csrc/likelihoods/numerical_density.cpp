#include "likelihoods/numerical_density.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "likelihoods/differentiate.h"
#include "likelihoods/quadrature.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr int kCoarsest = 3, kFinest = 9;
// Relative changes from one level to the next. The first is reached by piecewise analytic
// densities, the second with kinks that were not listed.
constexpr double kConverged = 1e-11, kAccepted = 1e-5;
// The share of an integral in its last node, beyond which the rest is missing.
constexpr double kLast = 1e-8;
// A probability, or a density by its largest, below which a node does not matter.
constexpr double kNegligible = 1e-12;

/// The rule on the domain for each z; a row's pieces are split at its kinks as far as they lie in
/// it, and at those of `moved` where it is defined.
Quadrature rule_for(const Tensor& z, const Domain& domain, int level, const Tensor& moved = {}) {
  if (!domain.labels.empty()) {
    const auto nodes = torch::tensor(domain.labels, z.options()).expand({z.size(0), -1});
    return {nodes, torch::ones_like(nodes), 1};
  }
  std::vector<Tensor> breaks{torch::full_like(z, domain.lower)};
  for (const double kink : domain.kinks) {
    breaks.push_back((z + kink).clamp(domain.lower, domain.upper));
    if (moved.defined()) breaks.push_back((moved + kink).clamp(domain.lower, domain.upper));
  }
  breaks.push_back(torch::full_like(z, domain.upper));
  return double_exponential(std::get<0>(torch::stack(breaks, 1).sort(1)), level);
}

/// Throws with the first of `bad`.
void check_nodes(const Tensor& bad, const Tensor& y, const Tensor& z, const std::string& name,
                 const std::string& what, const std::string& advice) {
  if (!bad.any().item<bool>()) return;
  const auto k = bad.reshape(-1).to(torch::kUInt8).argmax().item<int64_t>();
  TORCH_CHECK_VALUE(
      false, fmt::format("natgrad: {} {} at y = {:g}, z = {:g}. {}", name, what,
                         y.reshape(-1)[k].item<double>(), z.reshape(-1)[k].item<double>(), advice));
}

/// Where r falls from more than nothing to zero, between neighbours.
Tensor cut_off(const Tensor& log_density) {
  const auto largest = log_density.amax(1, /*keepdim=*/true);
  const auto gone = log_density.isinf(), there = log_density > largest + std::log(kNegligible);
  const auto last = gone.size(1) - 1;
  auto bad = torch::zeros_like(gone);
  bad.narrow(1, 1, last) |= gone.narrow(1, 1, last) & there.narrow(1, 0, last);
  bad.narrow(1, 0, last) |= gone.narrow(1, 0, last) & there.narrow(1, 1, last);
  return bad;
}

/// The largest share of Σ terms that one of the last terms of a piece has, [n].
Tensor share_of_last(const Tensor& terms, int64_t pieces) {
  const auto by_piece = terms.view({terms.size(0), pieces, -1});
  const auto last = torch::maximum(by_piece.select(2, 0), by_piece.select(2, -1)).amax(1);
  return last / terms.sum(1).clamp_min(std::numeric_limits<double>::min());
}

/// The z at which `error` is largest or NaN, if that is beyond `limit`; else none.
std::optional<int64_t> worst(const Tensor& error, double limit) {
  const auto k = error.nan_to_num(Domain::kInfinity).argmax().item<int64_t>();
  if (error[k].item<double>() <= limit) return std::nullopt;
  return k;
}

Tensor change(const Tensor& before, const Tensor& after) {
  return (after - before).abs() / after.abs().clamp_min(std::numeric_limits<double>::min());
}

void check_normaliser(const NumericalDensity& coarse, const NumericalDensity& fine, const Tensor& z,
                      const Domain& domain, const std::string& name) {
  const auto error = (fine.log_normaliser - coarse.log_normaliser).abs();
  auto k = worst(error, kAccepted);
  if (domain.labels.empty() && !k) k = worst(share_of_last(fine.probabilities, fine.pieces), kLast);
  if (!k) return;
  TORCH_CHECK_VALUE(
      false,
      fmt::format("natgrad: {} has no finite integral Z over y at z = {:g}: "
                  "log Z came out as {:g} on {} nodes and {:g} on {}, with a share of {:g} in the "
                  "outermost. It must fall faster than 1/|y|; where it is narrow or has kinks, "
                  "list them as `kinks`, values of y - z.",
                  name, z[*k].item<double>(), coarse.log_normaliser[*k].item<double>(),
                  coarse.nodes.size(1), fine.log_normaliser[*k].item<double>(), fine.nodes.size(1),
                  share_of_last(fine.probabilities, fine.pieces)[*k].item<double>()));
}

void check_fisher(const NumericalDensity& coarse, const NumericalDensity& fine, const Tensor& z,
                  const Domain& domain, const std::string& name) {
  auto k = worst(change(coarse.fisher(), fine.fisher()), kAccepted);
  const auto terms = fine.probabilities * fine.score.square();
  if (domain.labels.empty() && !k) k = worst(share_of_last(terms, fine.pieces), kLast);
  if (!k) return;
  TORCH_CHECK_VALUE(
      false,
      fmt::format("natgrad: {} has no finite Fisher information E[score²] at z = {:g}: it came out "
                  "as {:g} on {} nodes and {:g} on {}. The score must not be singular where it "
                  "counts; where the density has kinks, list them as `kinks`, values of y - z.",
                  name, z[*k].item<double>(), coarse.fisher()[*k].item<double>(),
                  coarse.nodes.size(1), fine.fisher()[*k].item<double>(), fine.nodes.size(1)));
}

bool has_converged(const NumericalDensity& coarse, const NumericalDensity& fine, const Tensor& z) {
  // y - z rounds to |z| times the precision.
  const double limit = kConverged * std::max(1.0, z.abs().max().item<double>());
  return !worst((fine.log_normaliser - coarse.log_normaliser).abs(), limit) &&
         !worst(change(coarse.fisher(), fine.fisher()), limit);
}

}  // namespace

Tensor NumericalDensity::fisher() const {
  return (probabilities * (score - mean_score().unsqueeze(1)).square()).sum(1);
}

NumericalDensity evaluate(const LogDensity& log_density, const Tensor& z, const Domain& domain,
                          int level, const std::string& name, bool with_curvature,
                          const Tensor& moved) {
  const auto rule = rule_for(z, domain, level, moved);
  const auto outputs = z.unsqueeze(1).expand_as(rule.nodes);
  const auto l = differentiate([&](const Tensor& at) { return log_density(rule.nodes, at); },
                               outputs, with_curvature);
  const auto terms = l.value + rule.weights.log();
  check_nodes(l.value.isnan(), rule.nodes, outputs, name, "is not a number",
              "It needs a value for every y of the domain and every z.");
  check_nodes(l.value.isposinf(), rule.nodes, outputs, name, "is infinite",
              "A loss must not be -∞, nor a density infinite.");
  const auto p = terms.softmax(1);
  if (domain.labels.empty()) {
    check_nodes(cut_off(l.value), rule.nodes, outputs, name, "is not positive",
                "A density that ends where z says has no Fisher information: give it tails, or the "
                "domain its ends.");
  }
  const auto score = torch::where(p > 0, l.first, 0.0);
  return {rule.nodes, l.value, p, score, l.second, terms.logsumexp(1), rule.pieces};
}

Converged converge(const LogDensity& log_density, const Tensor& z, const Domain& domain,
                   const std::string& name) {
  auto coarse = evaluate(log_density, z, domain, kCoarsest, name);
  int level = kCoarsest + 1;
  auto fine = evaluate(log_density, z, domain, level, name);
  while (level < kFinest && !has_converged(coarse, fine, z)) {
    coarse = std::move(fine);
    fine = evaluate(log_density, z, domain, ++level, name);
  }
  check_normaliser(coarse, fine, z, domain, name);
  check_fisher(coarse, fine, z, domain, name);
  return {level, std::move(fine)};
}

int64_t rows_at_once(const Domain& domain, int level) {
  constexpr int64_t kNumbers = 1 << 18;
  const auto row = rule_for(torch::zeros({1}, torch::kDouble), domain, level).nodes.numel();
  return std::max<int64_t>(1, kNumbers / row);
}

bool hessian_is_fisher(const LogDensity& log_density, const Tensor& z, const Domain& domain,
                       int level, const std::string& name) {
  constexpr double kSame = 1e-8;
  const auto r = evaluate(log_density, z, domain, level, name, /*with_curvature=*/true);
  const auto fisher = r.fisher().unsqueeze(1);
  const auto same = (r.curvature + fisher).abs() <= kSame * fisher;
  return same.logical_or(r.probabilities < kNegligible).all().item<bool>();
}

}  // namespace natgrad::detail
