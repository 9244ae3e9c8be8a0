#include "graph/node_kinds.h"

#include <torch/types.h>
#include "graph/backward.h"

#include <string>
#include <unordered_set>

namespace natgrad::detail {

using torch::autograd::Node;
using Names = std::unordered_set<std::string>;

namespace {

/// "Pow" of PowBackward0.
std::string op_of(const Node& node) {
  const auto name = node.name();
  return name.substr(0, name.rfind("Backward"));
}

int64_t size_of_result(Node& node) {
  return c10::multiply_integers(shape_at({c10::intrusive_ptr<Node>::reclaim_copy(&node), 0}));
}

int64_t size_of_inputs(const Node& node) {
  int64_t size = 0;
  for (const auto& edge : node.next_edges()) {
    if (edge.is_valid()) size += c10::multiply_integers(shape_at(edge));
  }
  return size;
}

const Names& views() {
  static const Names ops = {"View",   "UnsafeView", "ReshapeAlias", "Alias",   "Squeeze",
                            "T",      "Unsqueeze",  "Transpose",    "Permute", "Slice",
                            "Select", "Expand",     "Clone",        "ToCopy"};
  return ops;
}

}  // namespace

bool is_selection(const Node& node) {
  static const Names ops = {"Gather", "Index", "IndexSelect", "MaskedSelect"};
  const auto op = op_of(node);
  return views().contains(op) || ops.contains(op);
}

bool is_part_of_a_penalty(Node& node) {
  static const Names elementwise = {
      "Abs",      "Add",        "Sub",       "Rsub",         "Mul",     "Div",   "Neg",
      "Pow",      "Sqrt",       "Rsqrt",     "Exp",          "Log",     "Log1P", "Expm1",
      "Sigmoid",  "Reciprocal", "Clamp",     "Softplus",     "Tanh",    "Cosh",  "LogSigmoid",
      "ClampMin", "ClampMax",   "Relu",      "Maximum",      "Minimum", "Where", "MaskedFill",
      "Cat",      "Stack",      "HuberLoss", "SmoothL1Loss", "MseLoss"};
  static const Names reductions = {"Sum",       "Mean", "Norm", "LinalgVectorNorm",
                                   "Logsumexp", "Var",  "Std",  "Amax",
                                   "Max",       "Amin", "Dot",  "Diagonal"};
  const auto op = op_of(node);
  return (elementwise.contains(op) || reductions.contains(op) || views().contains(op)) &&
         size_of_result(node) <= size_of_inputs(node);
}

}  // namespace natgrad::detail
