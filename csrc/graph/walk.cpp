#include "graph/walk.h"
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/broadcasts.h"
#include "graph/linearization.h"
#include "graph/mark_nodes.h"
#include "graph/spread_terms.h"
#include "graph/term_readers.h"
#include "graph/unreadable.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "graph/depth_first.h"
#include "graph/node_kinds.h"
#include "graph/parameter_uses.h"
#include "graph/penalties.h"
#include "libtorch/nodes.h"
#include "libtorch/op_names.h"
#include "libtorch/ways_out.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;

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

/// Of no examples there is nothing to take as outputs either.
void check_not_empty(const Node& term) {
  for (const auto& edge : term.next_edges()) {
    if (!edge.is_valid()) continue;
    const auto shape = shape_at(edge);
    TORCH_CHECK(
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

// Where no better way is known.
constexpr auto kOwnLoss =
    "If it is convex in the outputs, mark them, and its own Hessian is taken there:\n"
    "  auto z = natgrad::outputs(model->forward(x));\n"
    "  optimizer.step(my_loss(z, y));\n"
    "or name their distribution, natgrad::outputs(natgrad::Categorical(logits)), for any "
    "objective. A penalty on the parameters that is no sum of elementwise functions is "
    "marked by natgrad::penalty(R).\nThe losses that are known: ";

void reject_path(const std::string& path) {
  const auto advice = way_out_of(path);
  NATGRAD_CHECK_READABLE(false, "natgrad: cannot read this loss: it reaches a parameter along ",
                         above_network(path), " past all losses that natgrad knows.\n",
                         advice.empty() ? c10::str(kOwnLoss, readable_losses(), ".") : advice);
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
      "parameter that requires a gradient takes part in it.");
}

namespace {

/// Whether elementwise functions and reductions of parameters are all that lies below the node.
bool is_penalty(Node& top, const NodeSet& parameters) {
  bool penalty = true;
  depth_first(&top, [&](Node& node, Node*) {
    const bool parameter = parameters.contains(&node);
    penalty = penalty && (parameter || node.next_edges().empty() || is_part_of_a_penalty(node));
    return penalty && !parameter;
  });
  return penalty;
}

/// Whether parameters alone lie below the node, under nothing but parts of a penalty: as in
/// mse_loss(w, w0), the distance from a start.
bool is_penalty_written_as_a_loss(Node& loss, const NodeSet& parameters) {
  return is_likelihood_node(loss) && is_penalty(loss, parameters);
}

struct Part {
  Edge edge;
  PartKind kind;
  std::shared_ptr<const Likelihood> distribution = nullptr;
};

/// What the walk from the loss down meets.
struct Walk {
  std::vector<Part> parts;
  UpperGraph upper;  ///< `terms`: the nodes at which it stopped
  Origins from;
};

enum class LossesOfParameters { AreTerms, ArePenalties };

/// The term or marked outputs or penalty at the node, if it is one.
std::optional<Part> recognised_part(Node& node, const NodeSet& parameters,
                                    LossesOfParameters reading) {
  const bool is_part = is_readable(node) && reaches_parameter(node, parameters) &&
                       !(reading == LossesOfParameters::ArePenalties &&
                         is_penalty_written_as_a_loss(node, parameters));
  if (!is_part) return std::nullopt;
  check_not_empty(node);
  const auto edge = result_of(node);
  if (is_penalty_mark(node)) return Part{edge, PartKind::Penalty};
  if (!is_outputs_mark(node)) return Part{edge, PartKind::Term};
  return Part{edge, PartKind::Outputs, outputs_mark(edge)->distribution};
}

/// Outputs that a softmax and a log_softmax take are one part.
void add(std::vector<Part>& parts, Part added) {
  const bool is_known = std::any_of(parts.begin(), parts.end(),
                                    [&](const Part& part) { return part.edge == added.edge; });
  if (!is_known) parts.push_back(std::move(added));
}

/// `part_at` answers whether the node is where a path ends, and what it is then.
Walk walk_down(const Edge& top, const NodeSet& parameters,
               const std::function<std::optional<Part>(Node&)>& part_at) {
  Walk walk;
  depth_first(top.function.get(), [&](Node& node, Node* above) {
    walk.from[&node] = above;
    auto part = part_at(node);
    if (!part && parameters.contains(&node)) {
      walk.upper.parameters.insert(&node);
      return false;
    }
    if (part) {
      walk.upper.terms.insert(&node);
      add(walk.parts, std::move(*part));
    } else {
      walk.upper.nodes.push_back(&node);
    }
    return !part;
  });
  return walk;
}

/// The z of terms to which linear functions may belong, by node.
using NaturalOutputs = std::unordered_map<const Node*, Edge>;

NaturalOutputs natural_outputs(const Walk& walk) {
  NaturalOutputs outputs;
  for (const auto& part : walk.parts) {
    if (part.kind != PartKind::Term) continue;
    for (const auto& z : natural_outputs_of(*part.edge.function)) outputs[z.function.get()] = z;
  }
  return outputs;
}

/// Whether log q is one of such a z, which belongs to a variance.
bool is_log_of(const Edge& q, const NaturalOutputs& natural) {
  const auto known = logarithms_of(q);
  return std::any_of(known.begin(), known.end(), [&](const Logarithm& of) {
    const auto z = natural.find(of.z.function.get());
    return z != natural.end() && z->second == of.z;
  });
}

/// Throws `UnreadableLoss`, naming what to write instead, at a loss of LibTorch that natgrad cannot
/// read and below which parameters are reached.
void check_has_reader(Node& node, const NodeSet& parameters) {
  const auto loss = loss_without_reader(node);
  NATGRAD_CHECK_READABLE(loss.empty() || !reaches_parameter(node, parameters),
                         "natgrad: the loss is a ", loss);
}

Walk walk_down(const Edge& top, const NodeSet& parameters, LossesOfParameters reading,
               const NaturalOutputs& natural = {}) {
  return walk_down(top, parameters, [&](Node& node) -> std::optional<Part> {
    if (const auto z = natural.find(&node); z != natural.end()) {
      return Part{z->second, PartKind::Linear};
    }
    if (op_of(node) == Op::Log && is_log_of(node.next_edge(0), natural)) {
      return Part{result_of(node), PartKind::Linear};
    }
    auto part = recognised_part(node, parameters, reading);
    if (!part) check_has_reader(node, parameters);
    return part;
  });
}

/// Whether a term is what makes a variance, v = exp(z), σ² or softplus(z), under its logarithm.
bool has_variance_as_term(const Walk& walk, const NaturalOutputs& natural) {
  const bool has_spread = std::any_of(walk.parts.begin(), walk.parts.end(), [](const Part& part) {
    return part.kind == PartKind::Term && has_second_term(*part.edge.function);
  });
  const auto& terms = walk.upper.terms;
  return has_spread && std::any_of(terms.begin(), terms.end(), [&](const Node* node) {
           return is_log_of(result_of(const_cast<Node&>(*node)), natural);
         });
}

/// Whether some path comes to such a z past the terms, or to the parameter that it is.
bool reaches_natural_outputs(const Walk& walk, const NaturalOutputs& natural) {
  const auto& [nodes, terms, parameters] = walk.upper;
  const auto is_natural = [&](const Node* node) { return natural.contains(node); };
  return std::any_of(nodes.begin(), nodes.end(), is_natural) ||
         has_variance_as_term(walk, natural) ||
         std::any_of(parameters.begin(), parameters.end(), is_natural);
}

/// Whether the loss has kinks above its parts, beside which every function is linear.
bool has_kinks(const Walk& walk) {
  static const OpNames kinked = {"Relu",    "Clamp", "ClampMin", "ClampMax",  "Maximum",
                                 "Minimum", "Max",   "Min",      "Amax",      "Amin",
                                 "Where",   "Abs",   "Hardtanh", "LeakyRelu", "Threshold"};
  const auto& nodes = walk.upper.nodes;
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const Node* node) { return kinked.contains(op_name(*node)); });
}

/// Whether what comes down to the nodes of linear parts comes to their z, and to no other result.
bool meets_natural_outputs(const Walk& walk, const NaturalOutputs& natural) {
  const auto& nodes = walk.upper.nodes;
  return std::all_of(nodes.begin(), nodes.end(), [&](const Node* node) {
    const auto& edges = node->next_edges();
    return std::all_of(edges.begin(), edges.end(), [&](const Edge& edge) {
      const auto z = natural.find(edge.function.get());
      return z == natural.end() || z->second == edge;
    });
  });
}

/// The walk's parts and penalties, sorted. `is_penalty_part`: of a node below which there are
/// parameters alone.
LossParts parts_of(Walk walk, const std::function<bool(Node&)>& is_penalty_part) {
  auto& parts = walk.parts;
  const bool is_one_term = parts.size() == 1 && parts.front().kind != PartKind::Linear;
  if (!walk.upper.parameters.empty()) {
    const auto reject = [&](const std::vector<const Node*>& way) {
      reject_path(path_along(way, walk.from));
    };
    if (parts.empty()) reject({*walk.upper.parameters.begin()});
    for (auto& penalty : find_penalties(walk.upper, is_penalty_part, reject)) {
      parts.push_back({std::move(penalty), PartKind::Penalty});
    }
  }
  NATGRAD_CHECK_READABLE(
      !parts.empty(),
      "natgrad: the loss does not depend on any parameter that requires a gradient. Was the "
      "optimizer given the parameters of this model, and is the forward pass free of detach()?");
  std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return is_lower(*b.edge.function, *a.edge.function);
  });
  // Of several parts one may lie below another.
  const auto& above = walk.upper.nodes;
  LossParts sorted;
  sorted.is_linear_by_kind = parts.size() == 1 && is_one_term &&
                             std::all_of(above.begin(), above.end(),
                                         [](const Node* node) { return is_linear_by_kind(*node); });
  for (auto& [edge, kind, distribution] : parts) {
    sorted.edges.push_back(std::move(edge));
    sorted.kinds.push_back(kind);
    sorted.distributions.push_back(std::move(distribution));
  }
  return sorted;
}

}  // namespace

LossParts find_parts(const Tensor& loss, const std::vector<Tensor>& parameters) {
  const auto nodes = nodes_of(parameters);
  const Edge top = torch::autograd::impl::gradient_edge(loss);
  auto reading = LossesOfParameters::ArePenalties;
  auto walk = walk_down(top, nodes, reading);
  // Parameters that are the outputs themselves, as in a table of logits.
  if (walk.parts.empty()) {
    reading = LossesOfParameters::AreTerms;
    walk = walk_down(top, nodes, reading);
  }
  const auto natural = natural_outputs(walk);
  if (reaches_natural_outputs(walk, natural)) {
    auto again = walk_down(top, nodes, reading, natural);
    // Parameters may be outputs, as a table of logits is, but not those of a network's layers.
    const bool is_sound = reading == LossesOfParameters::ArePenalties || !has_kinks(again);
    if (is_sound && meets_natural_outputs(again, natural)) walk = std::move(again);
  }
  const bool has_marks = std::any_of(walk.parts.begin(), walk.parts.end(), [](const Part& part) {
    return part.kind == PartKind::Outputs;
  });
  if (!has_marks) check_no_outer_products(walk.upper.nodes);
  return parts_of(std::move(walk), is_part_of_a_penalty);
}

namespace {

/// Whether the op chooses rows by numbers that the batch may bring.
bool is_lookup(const Node& node) {
  static const OpNames embeddings = {"Embedding", "EmbeddingBag"};
  const auto& op = op_name(node);
  return embeddings.contains(op) || gather_ops().contains(op);
}

/// Whether parameters alone lie below the node, and nothing that the batch brings.
bool is_of_parameters_alone(Node& top, const NodeSet& parameters) {
  bool alone = true;
  depth_first(&top, [&](Node& node, Node*) {
    if (parameters.contains(&node)) return false;
    const auto& edges = node.next_edges();
    alone = alone && !edges.empty() && !is_lookup(node) &&
            std::all_of(edges.begin(), edges.end(), [](const Edge& e) { return e.is_valid(); });
    return alone;
  });
  return alone;
}

/// Whether the op takes a parameter as it is, or a view or cast of it, and is no part of a penalty.
bool has_own_parameters(Node& node, const NodeSet& parameters) {
  const auto takes = [&](const Edge& edge) {
    Node* below = edge.function.get();
    while (below && !parameters.contains(below) && !is_lookup(*below) && is_selection(*below)) {
      below = below->next_edge(0).function.get();
    }
    return below && parameters.contains(below);
  };
  const auto& edges = node.next_edges();
  const bool is_view = is_selection(node) && !is_lookup(node);
  return !is_view && std::any_of(edges.begin(), edges.end(), takes) &&
         !is_penalty(node, parameters) && !is_of_parameters_alone(node, parameters);
}

/// Only then is the Fisher matrix of the mean over examples of the objective's own size.
bool is_one_observation(const Likelihood& likelihood) {
  return likelihood.example_dim() == 0 && likelihood.observations() == likelihood.examples();
}

Walk walk_down(const Edge& top, const NodeSet& parameters, const Substitution& substitution) {
  return walk_down(top, parameters, [&](Node& node) -> std::optional<Part> {
    if (!substitution.nonlinear.contains(&node) && !is_hand_written(node)) {
      auto part = recognised_part(node, parameters, LossesOfParameters::ArePenalties);
      if (part) return part;
    }
    if (substitution.names_distributions && reaches_parameter(node, parameters)) {
      if (auto named = named_outputs(node); named && is_one_observation(*named->likelihood)) {
        return Part{named->outputs, PartKind::Outputs, std::move(named->likelihood)};
      }
    }
    if (!has_own_parameters(node, parameters)) return std::nullopt;
    return Part{result_of(node), PartKind::Outputs};
  });
}

bool is_unnamed(const Part& part) { return part.kind == PartKind::Outputs && !part.distribution; }

}  // namespace

LossParts find_substitute_parts(const Tensor& loss, const std::vector<Tensor>& parameters,
                                Substitution substitution) {
  const auto nodes = nodes_of(parameters);
  const Edge top = torch::autograd::impl::gradient_edge(loss);
  auto walk = walk_down(top, nodes, substitution);
  if (substitution.names_distributions &&
      std::any_of(walk.parts.begin(), walk.parts.end(), is_unnamed)) {
    substitution.names_distributions = false;
    walk = walk_down(top, nodes, substitution);
  }
  return parts_of(std::move(walk), [&](Node& node) {
    return is_part_of_a_penalty(node) || is_of_parameters_alone(node, nodes);
  });
}

std::vector<bool> reached_from(const Edge& edge, const std::vector<Edge>& nodes) {
  NodeSet below;
  depth_first(edge.function.get(), [&](Node& node, Node*) { return below.insert(&node).second; });
  std::vector<bool> reached;
  for (const auto& node : nodes) reached.push_back(below.contains(node.function.get()));
  return reached;
}

}  // namespace natgrad::detail
