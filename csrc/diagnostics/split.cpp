#include "diagnostics/split.h"

#include <torch/types.h>

#include <algorithm>

#include "graph/loss_graph_state.h"
#include "graph/mark_nodes.h"
#include "libtorch/custom_ops.h"

namespace natgrad::detail {

using torch::autograd::Edge;
using torch::autograd::Node;

namespace {

bool takes(const Node& node, const Edge& z) {
  const auto& edges = node.next_edges();
  return std::find(edges.begin(), edges.end(), z) != edges.end();
}

/// Whether z parameterises the family that the user named there.
bool is_nll_of(const Node& node, const Edge& z) {
  const auto* nll = dynamic_cast<const NegativeLogLikelihoodNode*>(&node);
  return nll != nullptr && nll->outputs == z;
}

/// What z goes into: a likelihood that the user named, or the first op.
std::string op_above(const LossGraph& graph, const Edge& z) {
  const Node* above = nullptr;
  for (const Node* node : loss_census(graph).nodes) {
    if (is_nll_of(*node, z)) return spoken_name(*node);
    if (above == nullptr && takes(*node, z)) above = node;
  }
  return above == nullptr ? "" : spoken_name(*above);
}

}  // namespace

Split split_at(const LossGraph& graph, size_t output) {
  const auto& z = output_edges(graph)[output];
  const auto below = [](const Edge& edge) { return spoken_name(*edge.function); };
  if (outputs_mark(z) != nullptr) {
    return {below(z.function->next_edge(0)), spoken_name(*z.function)};
  }
  // A difference of two networks, which the reading put there.
  if (op_above(graph, z).empty() && z.function->num_outputs() == 2) {
    const auto &left = z.function->next_edge(0), &right = z.function->next_edge(1);
    return {below(left) + " minus " + below(right), op_above(graph, left)};
  }
  return {below(z), op_above(graph, z)};
}

}  // namespace natgrad::detail
