#include "graph/node_kinds.h"

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
  const auto op = op_name(node);
  return view_ops().contains(op) || gather_ops().contains(op);
}

bool is_part_of_a_penalty(Node& node) {
  const auto op = op_name(node);
  return (elementwise_ops().contains(op) || reduction_ops().contains(op) ||
          view_ops().contains(op)) &&
         size_of_result(node) <= size_of_inputs(node);
}

}  // namespace natgrad::detail
