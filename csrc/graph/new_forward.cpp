#include "graph/new_forward.h"

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "graph/parameter_uses.h"
#include "libtorch/op_names.h"

namespace natgrad::detail {

using torch::autograd::Edge;
using torch::autograd::Node;

Instant Instant::now() {
  return {at::sequence_number::peek(), at::RecordFunction::currentThreadId()};
}

namespace {

bool is_view(const Node& node) {
  static const OpNames copies = {"Clone", "ToCopy"};
  const auto& op = op_name(node);
  return view_ops().contains(op) && !copies.contains(op);
}

/// Whether an input is a parameter, or a view of one.
bool takes_parameter(const Node& node, const NodeSet& parameters) {
  const auto& edges = node.next_edges();
  return std::any_of(edges.begin(), edges.end(), [&](const Edge& edge) {
    const Node* below = edge.function.get();
    while (below && is_view(*below)) below = below->next_edge(0).function.get();
    return below && parameters.contains(below);
  });
}

}  // namespace

void check_forward_is_new(const Census& below_loss, const std::vector<torch::Tensor>& parameters,
                          const Instant& moved) {
  const auto is_older = [&](const Node* node) {
    return node->thread_id() == moved.thread && node->sequence_nr() < moved.sequence &&
           !node->next_edges().empty();
  };
  const auto& nodes = below_loss.nodes;
  if (std::none_of(nodes.begin(), nodes.end(), is_older)) return;  // as a rule
  const auto leaves = nodes_of(parameters);
  for (const auto* node : nodes) {
    if (!is_older(node) || is_view(*node)) continue;
    TORCH_CHECK(!takes_parameter(*node, leaves), "natgrad: the forward pass was made before the ",
                "last step: ", node->name(), " used a parameter that has moved since. ",
                "Compute a new loss for every step, or give step a closure that does.");
  }
}

}  // namespace natgrad::detail
