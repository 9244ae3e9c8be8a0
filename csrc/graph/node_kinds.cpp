#include "graph/node_kinds.h"

#include <algorithm>

#include "libtorch/edges.h"
#include "libtorch/op_names.h"

namespace natgrad::detail {

using torch::autograd::Node;

namespace {

int64_t size_of_result(Node& node) { return c10::multiply_integers(shape_at(result_of(node))); }

int64_t size_of_inputs(const Node& node) {
  int64_t size = 0;
  for (const auto& edge : node.next_edges()) {
    if (edge.is_valid()) size += c10::multiply_integers(shape_at(edge));
  }
  return size;
}

}  // namespace

bool is_selection(const Node& node) {
  const auto& op = op_name(node);
  return view_ops().contains(op) || gather_ops().contains(op);
}

bool is_linear_by_kind(const Node& node) {
  static const OpNames linear = {"NllLoss", "NllLoss2D", "Mean", "Sum", "Neg", "Add", "Sub"};
  static const OpNames bilinear = {"Mul", "Div"};
  const auto& op = op_name(node);
  if (linear.contains(op) || view_ops().contains(op)) return true;
  const auto& edges = node.next_edges();
  const auto given =
      std::count_if(edges.begin(), edges.end(), [](const auto& edge) { return edge.is_valid(); });
  return bilinear.contains(op) && given == 1 && edges[0].is_valid();
}

std::string op_without_second_derivative(const Census& network) {
  static const OpNames once = {"ScaledDotProductFlashAttentionForCpu",
                               "ScaledDotProductFlashAttention",
                               "ScaledDotProductEfficientAttention",
                               "ScaledDotProductCudnnAttention",
                               "EmbeddingBag",
                               "CudnnRnn",
                               "MiopenRnn"};
  const auto found = std::find_if(network.nodes.begin(), network.nodes.end(),
                                  [](const Node* node) { return once.contains(op_name(*node)); });
  return found == network.nodes.end() ? "" : (*found)->name();
}

bool is_part_of_a_penalty(Node& node) {
  const auto& op = op_name(node);
  return (elementwise_ops().contains(op) || reduction_ops().contains(op) ||
          view_ops().contains(op)) &&
         size_of_result(node) <= size_of_inputs(node);
}

}  // namespace natgrad::detail
