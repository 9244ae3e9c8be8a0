#include "graph/broadcasts.h"

#include <torch/torch.h>

#include "graph/backward.h"
#include "graph/unreadable.h"
#include "libtorch/edges.h"
#include "libtorch/nodes.h"

namespace natgrad::detail {

using torch::autograd::Edge;
using torch::autograd::Node;

namespace {

bool is_outer(torch::IntArrayRef shape, torch::IntArrayRef result) {
  return result.size() == 2 && result[0] == result[1] && result[0] > 1 &&
         c10::multiply_integers(shape) == result[0];
}

std::string what_is_wrong(const char* op, torch::IntArrayRef shape, torch::IntArrayRef result) {
  return c10::str("natgrad: a ", op, " broadcast outputs of shape ", shape, " to ", result,
                  ", so that every output meets every target. Give both the same shape ([N] and "
                  "[N, 1] differ): use view_as, squeeze or unsqueeze. If every pair is meant, "
                  "mark the outputs, natgrad::outputs(z).");
}

}  // namespace

void check_no_outer_difference(const Edge& z, torch::IntArrayRef result) {
  NATGRAD_CHECK_READABLE(!is_outer(shape_at(z), result),
                         what_is_wrong("difference", shape_at(z), result));
}

void check_no_outer_products(const std::vector<Node*>& nodes) {
  for (auto* node : nodes) {
    if (op_of(*node) != Op::Mul) continue;
    const auto &left = node->next_edge(0), &right = node->next_edge(1);
    if (left.is_valid() == right.is_valid()) continue;
    const auto& z = left.is_valid() ? left : right;
    const auto result = shape_at(result_of(*node));
    if (!is_outer(shape_at(z), result)) continue;
    torch::Tensor constant;
    with_graph_errors([&] {
      const auto [first, second] = saved_factors(*node);
      constant = left.is_valid() ? second : first;
    });
    TORCH_CHECK_VALUE(!constant.defined() || !is_outer(constant.sizes(), result),
                      what_is_wrong("product", shape_at(z), result));
  }
}

}  // namespace natgrad::detail
