#include "graph/walk.h"
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/linearization.h"
#include "graph/mark_nodes.h"
#include "graph/term_readers.h"
#include "graph/unreadable.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "graph/depth_first.h"
#include "graph/node_kinds.h"
#include "graph/penalties.h"
#include "libtorch/ways_out.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;

using NodeSet = std::unordered_set<const Node*>;

bool is_outputs_mark(const Node& node) { return typeid(node) == typeid(OutputsNode); }

bool is_penalty_mark(const Node& node) { return typeid(node) == typeid(PenaltyNode); }

bool is_readable(Node& node) {
  return is_outputs_mark(node) || is_penalty_mark(node) || is_likelihood_node(node);
}

/// Whether a parameter lies below the node on a path without a further `natgrad::outputs`.
bool reaches_parameter(Node& node, const NodeSet& parameters) {
  bool reached = false;
  depth_first(&node, [&](Node& below, Node* from) {
    reached = reached || parameters.contains(&below);
    return !reached && (from == nullptr || !is_outputs_mark(below));
  });
  return reached;
}

void check_not_empty(const Node& term) {
  for (const auto& edge : term.next_edges()) {
    if (!edge.is_valid()) continue;
    const auto shape = shape_at(edge);
    NATGRAD_CHECK_READABLE(
        c10::multiply_integers(shape) > 0, "natgrad: the outputs below ", term.name(),
        " have no elements (shape ", shape,
        "): the batch is empty. Skip empty batches, or drop the last one in the data loader.");
  }
}

/// Which node each node was reached from.
using Origins = std::unordered_map<const Node*, const Node*>;

/// "A -> B -> C": from the loss down to the first node of `way`, and along it.
std::string path_along(const std::vector<const Node*>& way, const Origins& from) {
  std::vector<std::string> names;
  for (const Node* node = way.front(); node != nullptr; node = from.at(node)) {
    names.insert(names.begin(), node->name());
  }
  for (size_t i = 1; i < way.size(); ++i) names.push_back(way[i]->name());
  return fmt::format("{}", fmt::join(names, " -> "));
}

void reject_path(const std::string& path) {
  const auto advice = way_out_of(path);
  NATGRAD_CHECK_READABLE(
      false, "natgrad: cannot read this loss: it reaches a parameter along ", path,
      " past all losses that natgrad knows.\n", advice, advice.empty() ? "" : "\n",
      "For a loss of your own, convex in the outputs, mark them:\n"
      "  auto z = natgrad::outputs(model->forward(x));\n"
      "  optimizer.step(my_loss(z, y));\n"
      "or name their distribution, natgrad::outputs(natgrad::Categorical(logits)), for any "
      "objective. A penalty on the parameters that is no sum of elementwise functions is "
      "marked by natgrad::penalty(R).\nThe losses that are known: ",
      readable_losses(), ".");
}

}  // namespace

void check_loss(const Tensor& loss) {
  TORCH_CHECK(
      loss.defined(),
      "natgrad: the loss is an undefined tensor; let the closure return the loss it computed.");
  TORCH_CHECK(loss.numel() == 1, "natgrad: the loss is one number, but got shape ", loss.sizes(),
              "; reduce it with mean() or sum().");
  TORCH_CHECK(loss.is_floating_point(), "natgrad: the loss is a real number, but got ",
              loss.dtype(), ".");
  TORCH_CHECK(!loss.is_inference(),
              "natgrad: the loss was computed inside c10::InferenceMode, which records no graph; "
              "leave that "
              "mode for training.");
  TORCH_CHECK(
      loss.requires_grad(),
      "natgrad: the loss has no graph. It was detached, computed under torch::NoGradGuard, or no "
      "parameter takes part in it.");
}

namespace {

/// Whether parameters alone lie below the node, under nothing but parts of a penalty: as in
/// mse_loss(w, w0), the distance from a start.
bool is_penalty_written_as_a_loss(Node& loss, const NodeSet& parameters) {
  bool penalty = is_likelihood_node(loss);
  if (!penalty) return false;
  depth_first(&loss, [&](Node& node, Node*) {
    const bool parameter = parameters.contains(&node);
    penalty = penalty && (parameter || node.next_edges().empty() || is_part_of_a_penalty(node));
    return penalty && !parameter;
  });
  return penalty;
}

/// What the walk from the loss down meets.
struct Walk {
  std::vector<Edge> terms;
  UpperGraph upper;
  Origins from;
};

enum class LossesOfParameters { AreTerms, ArePenalties };

Walk walk_down(const Edge& top, const NodeSet& parameters, LossesOfParameters reading) {
  Walk walk;
  depth_first(top.function.get(), [&](Node& node, Node* above) {
    walk.from[&node] = above;
    if (parameters.contains(&node)) {
      walk.upper.parameters.insert(&node);
      return false;
    }
    const bool is_term = is_readable(node) && reaches_parameter(node, parameters) &&
                         !(reading == LossesOfParameters::ArePenalties &&
                           is_penalty_written_as_a_loss(node, parameters));
    if (is_term) {
      check_not_empty(node);
      walk.terms.push_back(result_of(node));
      walk.upper.terms.insert(&node);
    } else {
      walk.upper.nodes.push_back(&node);
      check_has_reader(node, [&] { return reaches_parameter(node, parameters); });
    }
    return !is_term;
  });
  return walk;
}

}  // namespace

LossParts find_parts(const Tensor& loss, const std::vector<Tensor>& parameters) {
  NodeSet parameter_nodes;
  for (const auto& edge : edges_of(parameters)) {
    if (edge.is_valid()) parameter_nodes.insert(edge.function.get());
  }
  const Edge top = torch::autograd::impl::gradient_edge(loss);
  auto walk = walk_down(top, parameter_nodes, LossesOfParameters::ArePenalties);
  // Parameters that are the outputs themselves, as in a table of logits.
  if (walk.terms.empty()) walk = walk_down(top, parameter_nodes, LossesOfParameters::AreTerms);
  const auto reject = [&](const std::vector<const Node*>& way) {
    reject_path(path_along(way, walk.from));
  };
  auto edges = walk.terms;
  if (!walk.upper.parameters.empty()) {
    if (edges.empty()) reject({*walk.upper.parameters.begin()});
    for (auto& penalty : find_penalties(walk.upper, reject)) edges.push_back(std::move(penalty));
  }
  NATGRAD_CHECK_READABLE(
      !edges.empty(),
      "natgrad: the loss does not depend on any parameter that requires a gradient. Was the "
      "optimizer given the parameters of this model, and is the forward pass free of detach()?");
  std::stable_sort(edges.begin(), edges.end(),
                   [](const Edge& a, const Edge& b) { return is_lower(*b.function, *a.function); });
  // Of several parts one may lie below another.
  const auto& above = walk.upper.nodes;
  const bool is_linear = edges.size() == 1 && walk.terms.size() == 1 &&
                         std::all_of(above.begin(), above.end(),
                                     [](const Node* node) { return is_linear_by_kind(*node); });
  LossParts parts{std::move(edges), {}, is_linear};
  for (const auto& edge : parts.edges) {
    const bool is_term = walk.upper.terms.contains(edge.function.get());
    parts.is_penalty.push_back(!is_term || is_penalty_mark(*edge.function));
  }
  return parts;
}

std::vector<bool> reached_from(const Edge& edge, const std::vector<Edge>& nodes) {
  NodeSet below;
  depth_first(edge.function.get(), [&](Node& node, Node*) { return below.insert(&node).second; });
  std::vector<bool> reached;
  for (const auto& node : nodes) reached.push_back(below.contains(node.function.get()));
  return reached;
}

}  // namespace natgrad::detail
