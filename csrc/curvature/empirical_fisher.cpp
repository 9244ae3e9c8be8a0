#include <fmt/format.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/per_example_gradients.h>
#include <natgrad/linalg/low_rank.h>
#include <torch/torch.h>
#include "graph/coupled_examples.h"
#include "graph/loss_graph_state.h"
#include "graph/squared_example_gradients.h"

#include "curvature/outer_products.h"
#include "graph/term_score.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr auto kName = "empirical Fisher matrix";

/// The examples' weights in one term: the mean over those of an example's observations that count,
/// so that padding changes nothing.
Tensor example_weights(const LossTerm& term) {
  const auto& likelihood = *term.likelihood;
  const auto s = term.weights.expand_as(likelihood.outputs());
  const auto rows = rows_of_examples(s, likelihood.example_dim());
  return rows.sum(1) / rows.ne(0).sum(1).clamp_min(1);
}

/// The larger in size of two examples' weights in two terms: several heads are one example's.
Tensor larger(const Tensor& a, const Tensor& b) {
  return a.defined() ? torch::where(b.abs() > a.abs(), b, a) : b;
}

/// The examples' weights s in the loss, [N]; 1/N for a loss of the user's own, or not read.
Tensor weights_in_loss(const LossGraph& graph, int64_t examples,
                       const torch::TensorOptions& options) {
  Tensor weights;
  if (graph.is_readable()) {
    for (const auto& term : graph.terms()) {
      if (term.is_own()) continue;
      const auto s = example_weights(term).to(options.dtype());
      TORCH_CHECK(s.numel() == examples, "natgrad: a term of the loss has ", s.numel(),
                  " examples, but the largest has ", examples,
                  ": which gradients belong together cannot be told.");
      weights = larger(weights, s);
    }
  }
  if (weights.defined()) return weights;
  return torch::full({examples}, 1.0 / static_cast<double>(examples), options);
}

/// 1/s where s ≠ 0: an example of no weight has no gradient.
Tensor reciprocal_or_zero(const Tensor& s) {
  return torch::where(s.eq(0), torch::zeros_like(s), 1 / s);
}

/// What turns γᵢ, each example's share of ∇h, into gᵢ = γᵢ/sᵢ, and what gᵢgᵢᵀ weighs.
struct Scales {
  Tensor to_own_gradient, weights;
};

Scales scales_of(const LossGraph& graph, FisherWeights choice, int64_t examples,
                 const torch::TensorOptions& options) {
  const auto s = weights_in_loss(graph, examples, options);
  if (choice == FisherWeights::Uniform) {
    return {reciprocal_or_zero(s),
            torch::full({examples}, 1.0 / static_cast<double>(examples), options)};
  }
  TORCH_CHECK(s.ge(0).all().item<bool>(),
              "natgrad: some examples have negative weights in the loss, and the empirical Fisher "
              "matrix would be indefinite. Use "
              "EmpiricalFisher().weights(FisherWeights::Uniform).");
  return {reciprocal_or_zero(s), s};
}

/// ∂h/∂z, whose rows are γᵢ before they are pulled back.
std::vector<Tensor> gradient_in_outputs(const LossGraph& graph) {
  return sum_by_output(graph, [](const LossTerm& term) { return term.gradient.detach(); });
}

/// m (s/sᵢ)² Cov_q[score] v of one term, shaped like its z: its observations, independent under q,
/// as parts of their example's own gradient. Undefined where targets are points.
Tensor covariance_under_targets(const LossTerm& term, const Scales& scales, const Tensor& v) {
  if (!term.likelihood || term.is_own() || !term.gradient.defined()) return {};
  const auto covariance = term.likelihood->target_covariance_multiply(score_of(term), v);
  if (!covariance) return {};
  const auto dim = term.likelihood->example_dim();
  const auto share = term.weights * along_examples(scales.to_own_gradient, v, dim);
  return along_examples(scales.weights, v, dim) * share * share * *covariance;
}

/// The A of Σ sᵢ Cov_q[gᵢ] = JᵀAJ.
OutputMap covariance_under_targets(const LossGraph& graph, const Scales& scales) {
  return [graph, scales](const auto& jv) {
    return sum_by_output(graph, [&](const LossTerm& term) {
      return covariance_under_targets(term, scales, jv[term.output]);
    });
  };
}

LinearOperator from_products(const LossGraph& graph, Moment moment, FisherWeights choice,
                             SoftTargets soft_targets) {
  check_examples_are_independent(loss_census(graph));
  const auto scales = scales_of(graph, choice, graph.examples(), graph.parameters().options());
  const bool is_over_q = soft_targets == SoftTargets::Distribution;
  return sum_of_outer_products(graph, kName,
                               {{gradient_in_outputs(graph), scales.to_own_gradient, scales.weights,
                                 moment == Moment::Centred}},
                               is_over_q ? covariance_under_targets(graph, scales) : nullptr);
}

// ---- Over a q that is given. ----

/// The one term whose likelihood takes the targets.
const LossTerm& only_term(const LossGraph& graph) {
  const auto& terms = graph.terms();
  TORCH_CHECK_VALUE(terms.size() == 1 && terms[0].likelihood,
                    "natgrad: the empirical Fisher matrix over given targets needs a loss of one "
                    "term with a likelihood, but this one has ",
                    terms.size(),
                    terms.size() == 1 ? " without; write it as natgrad::nll(likelihood, y)."
                                      : "; form the matrix of each term, and add them up.");
  return terms[0];
}

/// The probabilities of each, [N]. Throws unless they are a distribution for every example.
std::vector<Tensor> probabilities_of(const std::vector<WeightedTargets>& q, int64_t examples,
                                     const torch::TensorOptions& options) {
  constexpr double kSum = 1e-4;  // of float32 tables, as for class probabilities
  std::vector<Tensor> result;
  auto sum = torch::zeros({examples}, options);
  for (const auto& point : q) {
    const auto& p = point.probability;
    TORCH_CHECK_VALUE(p.defined() && (p.dim() == 0 || (p.dim() == 1 && p.numel() == examples)),
                      "natgrad: the probability of a target is one number an example, [", examples,
                      "], or one for all, but got ",
                      p.defined() ? c10::str("the shape ", p.sizes()) : "none", ".");
    check_support(p, p.ge(0), "a target's probability is a number >= 0", "probability");
    result.push_back(p.detach().to(options).expand({examples}));
    sum += result.back();
  }
  check_support(sum, (sum - 1).abs() <= kSum, "the probabilities of an example's targets sum to 1",
                "their sum");
  return result;
}

/// √mᵢ gᵢₖ by the scores of one target for each observation.
ExampleVectors scored(const LossGraph& graph, const LossTerm& term, const Scales& scales,
                      const WeightedTargets& point, const Tensor& probability) {
  const auto& likelihood = *term.likelihood;
  const auto score = likelihood.score(point.y).detach();
  ExampleVectors set;
  set.u.resize(graph.outputs());
  set.u[term.output] = term.is_own() ? score : score * term.weights;
  set.scale = term.is_own() ? torch::ones_like(scales.weights) : scales.to_own_gradient;
  set.weights = scales.weights * probability;
  return set;
}

}  // namespace

Tensor empirical_fisher_rows(const LossGraph& graph, Moment moment, FisherWeights choice) {
  torch::NoGradGuard no_grad;
  const auto shares = per_example_gradients(graph);
  const auto scales = scales_of(graph, choice, shares.size(0), shares.options());
  auto gradients = scales.to_own_gradient.unsqueeze(1) * shares;
  if (moment == Moment::Centred) {
    const auto mean = scales.weights.unsqueeze(0).mm(gradients);
    gradients = gradients - mean * reciprocal_or_zero(scales.weights.sum());
  }
  return scales.weights.sqrt().unsqueeze(1) * gradients;
}

Tensor empirical_fisher_diagonal(const LossGraph& graph, Moment moment, FisherWeights choice) {
  torch::NoGradGuard no_grad;
  if (moment == Moment::Centred || !graph.is_readable()) {
    return empirical_fisher_rows(graph, moment, choice).square_().sum(0);
  }
  const auto scales = scales_of(graph, choice, graph.examples(), graph.parameters().options());
  return squared_example_gradients(
      graph, scales.weights * scales.to_own_gradient * scales.to_own_gradient);
}

LinearOperator empirical_fisher(const LossGraph& graph, Moment moment, FisherWeights weights,
                                SoftTargets soft_targets) {
  torch::NoGradGuard no_grad;
  return graph.is_readable() ? from_products(graph, moment, weights, soft_targets)
                             : low_rank(empirical_fisher_rows(graph, moment, weights), kName);
}

LinearOperator empirical_fisher(const LossGraph& graph, const std::vector<WeightedTargets>& q,
                                FisherWeights weights) {
  torch::NoGradGuard no_grad;
  check_examples_are_independent(loss_census(graph));
  const auto& term = only_term(graph);
  const auto options = graph.parameters().options();
  const auto probabilities = probabilities_of(q, term.likelihood->examples(), options);
  const auto scales = scales_of(graph, weights, term.likelihood->examples(), options);
  std::vector<ExampleVectors> sets;
  for (size_t k = 0; k < q.size(); ++k) {
    sets.push_back(scored(graph, term, scales, q[k], probabilities[k]));
  }
  return sum_of_outer_products(graph, "empirical Fisher matrix over given targets",
                               std::move(sets));
}

CurvatureAt EmpiricalFisher::at(const LossGraph& graph) const {
  const torch::NoGradGuard no_grad;
  if (graph.is_readable()) return {graph, from_products(graph, moment_, weights_, soft_targets_)};
  const auto rows = empirical_fisher_rows(graph, moment_, weights_);
  return {low_rank(rows, kName), [rows](const at::Generator&) { return noise_of_rows(rows); }};
}

std::string EmpiricalFisher::describe() const {
  return fmt::format("EmpiricalFisher({}weights={}{})",
                     moment_ == Moment::Centred ? "centred, " : "",
                     weights_ == FisherWeights::OfTheLoss ? "OfTheLoss" : "Uniform",
                     soft_targets_ == SoftTargets::Mean ? "" : ", soft_targets=Distribution");
}

std::shared_ptr<const Curvature> EmpiricalFisher::clone() const {
  return std::make_shared<EmpiricalFisher>(*this);
}

}  // namespace natgrad
