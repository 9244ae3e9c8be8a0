#include "graph/new_forward.h"

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <unordered_set>

#include "libtorch/edges.h"
#include "libtorch/op_names.h"

namespace natgrad::detail {

using torch::autograd::Edge;
using torch::autograd::Node;

Instant Instant::now() {
  return {at::sequence_number::peek(), at::RecordFunction::currentThreadId()};
}

namespace {

using Nodes = std::unordered_set<const Node*>;

bool is_view(const Node& node) {
  static const OpNames copies = {"Clone", "ToCopy"};
  const auto& op = op_name(node);
  return view_ops().contains(op) && !copies.contains(op);
}

/// Whether an input is a parameter, or a view of one.
bool takes_parameter(const Node& node, const Nodes& parameters) {
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
  Nodes leaves;
  for (const auto& edge : edges_of(parameters)) {
    if (edge.is_valid()) leaves.insert(edge.function.get());
  }
  for (const auto* node : below_loss.nodes) {
    const bool is_older = node->thread_id() == moved.thread && node->sequence_nr() < moved.sequence;
    if (!is_older || node->next_edges().empty() || is_view(*node)) continue;
    TORCH_CHECK(!takes_parameter(*node, leaves),
                "natgrad: the forward pass was made before the "
                "last step: ",
                node->name(),
                " used a parameter that has moved since. Compute the "
                "loss anew for each step, or give step a closure that does.");
  }
}

}  // namespace natgrad::detail
