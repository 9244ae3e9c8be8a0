#include "fisher_ggn/routes.h"

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include "support/derivatives.h"

namespace examples {

using torch::Tensor;

namespace {

constexpr int64_t kInputs = 3, kHidden = 5;

Tensor random_weight(at::IntArrayRef shape) {
  return torch::randn(shape, torch::kDouble).requires_grad_();
}

natgrad::LossGraph graph_of(const Problem& problem) {
  const auto loss = problem.family().loss(problem.outputs(), problem.targets());
  return {loss, problem.parameters()};
}

/// K copies of z, one after the other.
Tensor copies(const Tensor& z, int64_t count) {
  std::vector<int64_t> times(static_cast<size_t>(z.dim()), 1);
  times[0] = count;
  return z.repeat(times);
}

Tensor targets_like(const Tensor& y, const Tensor& z) {
  return y.is_floating_point() ? y.to(z.scalar_type()) : y;
}

}  // namespace

Problem::Problem(const Family& family, int64_t examples)
    : family_(&family),
      x_(torch::randn({examples, kInputs}, torch::kDouble)),
      y_(family.observed_targets(examples, torch::kDouble)),
      parameters_{random_weight({kHidden, kInputs}), random_weight({kHidden}),
                  random_weight({family.width, kHidden}), random_weight({family.width})} {}

Tensor Problem::outputs() const {
  const auto hidden = torch::tanh(torch::linear(x_, parameters_[0], parameters_[1]));
  return family_->domain(torch::linear(hidden, parameters_[2], parameters_[3]));
}

// Points that count for nothing, far out in a quadrature, are left out.
Outcomes outcomes_of(const Family& family, const Tensor& z) {
  constexpr double kNothing = 1e-30;
  const torch::NoGradGuard no_grad;
  const auto support = family.support(z);
  const auto n = z.size(0), all = support.measure.size(0);
  const auto y = targets_like(support.y, z);
  const auto log_r = family.log_r(copies(z, all), y.flatten(0, 1)).view({all, n});
  const auto weight = support.measure * log_r.exp();
  const auto rows = std::get<0>(weight.max(1)).gt(kNothing).nonzero().squeeze(1);
  const auto kept = y.index_select(0, rows);
  return {kept.flatten(0, 1), weight.index_select(0, rows).to(z.scalar_type()).flatten(),
          rows.size(0)};
}

double error_of_total(const Outcomes& outcomes, int64_t examples) {
  const auto total = outcomes.weight.view({outcomes.count, examples}).sum(0);
  return (total - 1).abs().max().item<double>();
}

Tensor log_r_of(const Family& family, const Tensor& z, const Outcomes& outcomes) {
  return family.log_r(copies(z, outcomes.count), outcomes.y);
}

Tensor fisher_matrix(const Problem& problem) {
  return natgrad::dense(natgrad::fisher(graph_of(problem)));
}

Tensor gauss_newton_matrix(const Problem& problem) {
  return natgrad::dense(natgrad::gauss_newton(graph_of(problem)));
}

double change_with_targets(const Problem& problem) {
  const auto term = natgrad::equivalence(graph_of(problem)).terms.at(0);
  TORCH_CHECK(term.target_gap, problem.family().name, ": ", term.targets);
  return *term.target_gap;
}

Tensor expected_score_products(const Problem& problem) {
  const auto z = problem.outputs();
  const auto outcomes = outcomes_of(problem.family(), z);
  const auto log_r = log_r_of(problem.family(), z, outcomes);
  return score_products(log_r, outcomes.weight, problem.parameters()) / problem.examples();
}

// The y and their probabilities are constants here: it is log r that is differentiated, not the
// expectation, whose derivatives would be those of an entropy.
Tensor minus_expected_hessian(const Problem& problem) {
  const auto z = problem.outputs();
  const auto outcomes = outcomes_of(problem.family(), z);
  const auto log_r = log_r_of(problem.family(), z, outcomes);
  const auto expected_loss = -(outcomes.weight * log_r).sum() / problem.examples();
  return hessian_of(expected_loss, problem.parameters());
}

Tensor empirical_fisher_matrix(const Problem& problem) {
  const auto log_r = problem.family().log_r(problem.outputs(), problem.targets());
  const auto weight = torch::full_like(log_r, 1.0 / problem.examples()).detach();
  return score_products(log_r, weight, problem.parameters());
}

Tensor objective_hessian(const Problem& problem) {
  const auto log_r = problem.family().log_r(problem.outputs(), problem.targets());
  return hessian_of(-log_r.mean(), problem.parameters());
}

}  // namespace examples
