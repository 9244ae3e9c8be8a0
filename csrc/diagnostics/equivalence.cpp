#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "diagnostics/term_conditions.h"
#include "diagnostics/term_verdict.h"
#include "graph/loss_graph_state.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

void check_options(const EquivalenceOptions& options) {
  TORCH_CHECK_VALUE(options.probes() >= 1 && options.draws() >= 1 && options.tolerance() >= 0,
                    "natgrad: equivalence takes probes >= 1, draws >= 1 and a tolerance >= 0, but "
                    "got ",
                    options.probes(), ", ", options.draws(), " and ", options.tolerance(), ".");
}

Tensor parameter_probe(const LossGraph& graph, const EquivalenceOptions& options, int64_t i) {
  auto generator = make_generator(options.seed(), static_cast<uint64_t>(i));
  const auto& parameters = graph.parameters();
  return random_normal({parameters.size()}, parameters.options(), generator);
}

/// The largest; NaN if one is.
double largest_of(const std::vector<double>& numbers) {
  const bool is_nan = std::any_of(numbers.begin(), numbers.end(), [](double x) { return x != x; });
  return is_nan ? std::numeric_limits<double>::quiet_NaN()
                : *std::max_element(numbers.begin(), numbers.end());
}

void compare(const LinearOperator& F, const LinearOperator& G, const LossGraph& graph,
             const EquivalenceOptions& options, Equivalence& found) {
  for (int64_t i = 0; i < options.probes(); ++i) {
    const auto v = parameter_probe(graph, options, i);
    found.distances.push_back(relative_difference(F.multiply(v), G.multiply(v)));
  }
  found.distance = largest_of(found.distances);
  found.holds = *found.distance <= found.tolerance;
}

/// What each term that is not equal makes of the distance.
void take_shares(const LossGraph& graph, const LinearOperator& G, const EquivalenceOptions& options,
                 std::vector<TermCondition>& terms) {
  std::vector<Tensor> jv;
  double size = 0;
  for (size_t k = 0; k < terms.size(); ++k) {
    if (!graph.terms()[k].likelihood) continue;
    terms[k].share = 0;
    if (terms[k].equal) continue;
    const auto v = parameter_probe(graph, options, 0);
    if (jv.empty()) {
      jv = graph.multiply_jacobian(v);
      size = norm_in_double(G.multiply(v));
    }
    std::vector<Tensor> u(jv.size());
    u[terms[k].output] = difference_of_term(graph, k, jv);
    const auto part = norm_in_double(graph.multiply_jacobian_transposed(u));
    terms[k].share = size > 0 ? part / size : std::numeric_limits<double>::infinity();
  }
}

std::string remarks_on(const LossGraph& graph) {
  std::string remarks;
  const auto add = [&](const std::string& text) {
    remarks += (remarks.empty() ? "" : "; ") + text;
  };
  if (!graph.substitutes().empty()) {
    add("the loss could not be read, and its outputs were found, not marked: " +
        graph.substitutes());
  }
  if (graph.has_penalties()) add("penalties on the parameters belong to neither matrix");
  if (const auto count = graph.negative_weights()) {
    add(fmt::format("{} weights are negative: both matrices may be indefinite", count));
  }
  return remarks;
}

Equivalence with_terms(const LossGraph& graph, const EquivalenceOptions& options) {
  check_options(options);
  Equivalence found;
  found.tolerance = options.tolerance() > 0 ? options.tolerance() : loss_census(graph).rounding;
  found.terms = term_conditions(graph, found.tolerance, options);
  found.remarks = remarks_on(graph);
  return found;
}

void conclude(Equivalence& found) {
  const auto holds = [](const TermCondition& term) { return term.holds; };
  found.holds_for_every_target =
      found.holds && std::all_of(found.terms.begin(), found.terms.end(), holds);
}

}  // namespace

Equivalence equivalence(const LossGraph& graph, const LinearOperator& F, const LinearOperator& G,
                        const EquivalenceOptions& options) {
  auto found = with_terms(graph, options);
  compare(F, G, graph, options, found);
  take_shares(graph, G, options, found.terms);
  conclude(found);
  return found;
}

Equivalence equivalence(const LossGraph& graph, const EquivalenceOptions& options) {
  const auto G = gauss_newton(graph);
  if (has_fisher(graph)) return equivalence(graph, fisher(graph), G, options);
  auto found = with_terms(graph, options);
  take_shares(graph, G, options, found.terms);
  return found;
}

std::string Equivalence::message() const {
  std::string text;
  if (!distance) {
    text = "There is no Fisher matrix to compare the GGN with";
  } else {
    text = fmt::format(
        "Fisher matrix and GGN are {} here: |Fv - Gv|/|Gv| is {:.2g} at most over "
        "{} probes (tolerance {:.0e})",
        holds ? "equal" : "not equal", *distance, distances.size(), tolerance);
    if (holds) text += holds_for_every_target ? ", for every target" : ", at these targets";
  }
  for (size_t k = 0; k < terms.size(); ++k) {
    text += fmt::format("\n  term {}: {}", k, line_of(terms[k]));
  }
  if (!remarks.empty()) text += "\n  " + remarks;
  return text;
}

}  // namespace natgrad
