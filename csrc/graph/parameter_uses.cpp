#include "graph/parameter_uses.h"

#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/types.h>
#include "graph/backward.h"

namespace natgrad::detail {

using torch::autograd::Edge;
using torch::autograd::Node;
using namespace torch::autograd::generated;  // NOLINT: the names of LibTorch's own nodes

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

/// Whether the node swaps the two dimensions of a matrix.
bool is_matrix_transpose(Node& node) {
  const Edge result(c10::intrusive_ptr<Node>::reclaim_copy(&node), 0);
  const auto is_matrix = [&] { return shape_at(result).size() == 2; };
  if (dynamic_cast<TBackward0*>(&node)) return is_matrix();
  if (const auto* transpose = dynamic_cast<TransposeBackward0*>(&node)) {
    return is_matrix() && (transpose->dim0 - transpose->dim1) % 2 != 0;
  }
  const auto* permute = dynamic_cast<PermuteBackward0*>(&node);
  return permute && is_matrix() && permute->dims[0] % 2 != 0;
}

bool is_cast(const Node& node) { return dynamic_cast<const ToCopyBackward0*>(&node) != nullptr; }

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
