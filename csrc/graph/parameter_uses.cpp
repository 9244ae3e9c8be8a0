#include "graph/parameter_uses.h"

#include <torch/types.h>
#include <unordered_set>
#include "graph/backward.h"
#include "graph/depth_first.h"
#include "graph/linearization.h"
#include "libtorch/nodes.h"

namespace natgrad::detail {

NodeSet nodes_of(const std::vector<torch::Tensor>& parameters) {
  NodeSet nodes;
  for (const auto& edge : edges_of(parameters)) {
    if (edge.is_valid()) nodes.insert(edge.function.get());
  }
  return nodes;
}

using torch::autograd::Edge;
using torch::autograd::Node;

Consumers consumers_of(const Census& census) {
  Consumers consumers;
  for (const auto& root : census.roots) consumers[root.function.get()].push_back({nullptr, 0});
  for (Node* node : census.nodes) {
    for (size_t i = 0; i < node->num_outputs(); ++i) {
      const auto& edge = node->next_edge(i);
      if (edge.is_valid()) consumers[edge.function.get()].push_back({node, i});
    }
  }
  return consumers;
}

namespace {

void append_uses(const Node& node, bool is_transposed, const Consumers& consumers,
                 std::vector<Use>& uses) {
  const auto found = consumers.find(&node);
  if (found == consumers.end()) return;
  for (const auto& consumer : found->second) {
    if (consumer.node && is_matrix_transpose(*consumer.node)) {
      append_uses(*consumer.node, !is_transposed, consumers, uses);
    } else if (consumer.node && is_cast(*consumer.node)) {
      append_uses(*consumer.node, is_transposed, consumers, uses);
    } else {
      uses.push_back({consumer, is_transposed});
    }
  }
}

}  // namespace

std::vector<Use> uses_of(const Edge& edge, const Consumers& consumers) {
  std::vector<Use> uses;
  if (edge.is_valid()) append_uses(*edge.function, /*is_transposed=*/false, consumers, uses);
  return uses;
}

}  // namespace natgrad::detail
