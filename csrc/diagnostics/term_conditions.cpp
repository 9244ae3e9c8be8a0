#include "diagnostics/term_conditions.h"
#include <natgrad/curvature/fisher.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <cmath>
#include <utility>

#include "diagnostics/drawn_hessian.h"
#include "diagnostics/split.h"
#include "diagnostics/term_verdict.h"
#include "graph/loss_graph_state.h"
#include "libtorch/edges.h"
#include "libtorch/errors.h"
#include "libtorch/out_of_memory.h"
#include "linalg/norm.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Streams of random numbers; those of parameter probes come before.
constexpr uint64_t kOutputProbes = 1 << 20, kDraws = 1 << 21;

/// Random numbers shaped like the outputs.
std::vector<Tensor> random_outputs(const LossGraph& graph, at::Generator generator) {
  std::vector<Tensor> v;
  for (const auto& z : output_edges(graph)) {
    v.push_back(random_normal(shape_at(z), options_at(z), generator));
  }
  return v;
}

/// H_L v of the k-th term, as the graph's own nodes have it.
Tensor hessian_of_term(const LossGraph& graph, size_t k, const std::vector<Tensor>& v) {
  const auto product = multiply_term_hessian(reading_of(graph), k, v);
  return product.defined() ? product.detach() : torch::zeros_like(v[graph.terms()[k].output]);
}

Tensor fisher_of_term(const LossTerm& term, const std::vector<Tensor>& v) {
  const torch::NoGradGuard no_grad;
  return weights_of(term, FisherWeights::OfTheLoss) *
         term.likelihood->fisher_multiply(v[term.output]);
}

/// ‖a - b‖ in units of `size`, or absolute where that is zero.
double gap_of(const Tensor& a, const Tensor& b, double size) {
  const double gap = norm_in_double(a - b);
  return size > 0 ? gap / size : gap;
}

/// The larger, and NaN if one is.
/// A generator where the outputs are.
at::Generator generator_beside(const Tensor& z, uint64_t seed, uint64_t stream) {
  if (z.is_cpu()) return make_generator(seed, stream);
  auto generator = at::globalContext().defaultGenerator(z.device()).clone();
  generator.set_current_seed(seed + stream);
  return generator;
}

/// The same loss at other targets.
LossGraph other_graph(const LossGraph& graph, const EquivalenceOptions& options) {
  LossGraph other(options.other_targets()(), graph.parameters().tensors());
  bool same = other.terms().size() == graph.terms().size() && other.outputs() == graph.outputs();
  for (size_t k = 0; same && k < graph.outputs(); ++k) {
    same = shape_at(output_edges(other)[k]) == shape_at(output_edges(graph)[k]);
  }
  TORCH_CHECK_VALUE(same,
                    "natgrad: other_targets() gives a loss with other terms or outputs than the "
                    "graph's. Let it differ from the loss in the targets' values alone.");
  return other;
}

/// A term along one v: H_L v at the loss's own targets, and what others are measured by.
struct Along {
  const std::vector<Tensor>& v;
  Tensor here;
  double size;

  Along(const LossGraph& graph, size_t k, const std::vector<Tensor>& v)
      : v(v), here(hessian_of_term(graph, k, v)) {
    const auto& term = graph.terms()[k];
    size = norm_in_double(term.likelihood ? fisher_of_term(term, v) : here);
  }
  void see(const Tensor& there, TermCondition& condition) const {
    const double gap = gap_of(there.to(here.dtype()), here, size);
    condition.target_gap = worst(gap, condition.target_gap.value_or(0));
  }
};

/// H_L v at the targets that the user gives, a graph at a time.
void vary_given(const LossGraph& graph, const EquivalenceOptions& options,
                const std::vector<Along>& along, std::vector<TermCondition>& conditions) {
  for (int64_t i = 0; i < options.draws(); ++i) {
    const auto other = other_graph(graph, options);
    for (size_t k = 0; k < along.size(); ++k) {
      conditions[k].targets = "given";
      along[k].see(hessian_of_term(other, k, along[k].v), conditions[k]);
    }
  }
}

/// -s ∇²_z log r(y|z) v at targets drawn from the model.
void vary_drawn(const LossTerm& term, const EquivalenceOptions& options, const Along& along,
                TermCondition& condition) {
  const auto& r = *term.likelihood;
  condition.targets = "drawn";
  try {
    for (int64_t i = 0; i < options.draws(); ++i) {
      const auto y = r.sample(generator_beside(r.outputs(), options.seed(), kDraws + i));
      along.see(term.weights * minus_hessian_of_log_prob(r, y, along.v[term.output]), condition);
    }
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw;
    condition.target_gap.reset();
    condition.targets = "none could be drawn: " + without_prefix(error.what_without_backtrace());
  }
}

void vary_targets(const LossGraph& graph, const EquivalenceOptions& options,
                  const std::vector<Tensor>& v, std::vector<TermCondition>& conditions) {
  std::vector<Along> along;
  for (size_t k = 0; k < conditions.size(); ++k) along.emplace_back(graph, k, v);
  if (options.other_targets()) return vary_given(graph, options, along, conditions);
  for (size_t k = 0; k < conditions.size(); ++k) {
    const auto& term = graph.terms()[k];
    if (!term.is_own()) {
      vary_drawn(term, options, along[k], conditions[k]);
    } else {
      conditions[k].targets =
          "natgrad cannot vary those of a loss of your own: give other_targets()";
    }
  }
}

/// H_L v against s F_R v at the loss's own targets.
void measure_gaps(const LossGraph& graph, const std::vector<Tensor>& v,
                  std::vector<TermCondition>& conditions) {
  for (size_t k = 0; k < conditions.size(); ++k) {
    const auto& term = graph.terms()[k];
    if (!term.likelihood) continue;
    const double size = norm_in_double(fisher_of_term(term, v));
    const auto difference = difference_of_term(graph, k, v);
    auto& gap = conditions[k].gap;
    gap = worst(gap_of(difference, torch::zeros_like(difference), size), gap.value_or(0));
  }
}

TermCondition describe_term(const LossGraph& graph, const LossTerm& term) {
  TermCondition condition;
  condition.output = term.output;
  condition.shape = shape_at(output_edges(graph)[term.output]).vec();
  const auto split = split_at(graph, term.output);
  condition.below = split.below;
  condition.above = split.above;
  if (!term.likelihood) return condition;
  condition.family = term.likelihood->describe();
  condition.told = term.likelihood->hessian_is_fisher();
  return condition;
}

}  // namespace

Tensor difference_of_term(const LossGraph& graph, size_t k, const std::vector<Tensor>& v) {
  const auto product = hessian_of_term(graph, k, v);
  return product - fisher_of_term(graph.terms()[k], v).to(product.dtype());
}

std::vector<TermCondition> term_conditions(const LossGraph& graph, double tolerance,
                                           const EquivalenceOptions& options) {
  const auto probe = [&](int64_t i) {
    return random_outputs(graph, make_generator(options.seed(), kOutputProbes + i));
  };
  graph.multiply_loss_hessian(probe(0));  // checks the user's own loss
  std::vector<TermCondition> conditions;
  for (const auto& term : graph.terms()) conditions.push_back(describe_term(graph, term));
  for (int64_t i = 0; i < options.probes(); ++i) measure_gaps(graph, probe(i), conditions);
  vary_targets(graph, options, probe(0), conditions);
  for (size_t k = 0; k < conditions.size(); ++k) {
    judge_term(conditions[k], graph.terms()[k].is_own(), tolerance);
  }
  return conditions;
}

}  // namespace natgrad::detail
