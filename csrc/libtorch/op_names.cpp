#include "libtorch/op_names.h"

#include <typeindex>
#include <unordered_map>

namespace natgrad::detail {

using torch::autograd::Node;

// By type: to make a node's name takes longer than a small op.
const std::string& op_name(const Node& node) {
  thread_local std::unordered_map<std::type_index, std::string> names;
  const auto [place, is_new] = names.try_emplace(typeid(node));
  if (is_new) {
    const auto name = node.name();
    place->second = name.substr(0, name.rfind("Backward"));
  }
  return place->second;
}

const OpNames& view_ops() {
  static const OpNames ops = {"View",   "UnsafeView", "ReshapeAlias", "Alias",   "Squeeze",
                              "T",      "Unsqueeze",  "Transpose",    "Permute", "Slice",
                              "Select", "Expand",     "Clone",        "ToCopy"};
  return ops;
}

const OpNames& gather_ops() {
  static const OpNames ops = {"Gather", "Index", "IndexSelect", "MaskedSelect"};
  return ops;
}

const OpNames& elementwise_ops() {
  static const OpNames ops = {
      "Abs",      "Add",        "Sub",       "Rsub",         "Mul",     "Div",   "Neg",
      "Pow",      "Sqrt",       "Rsqrt",     "Exp",          "Log",     "Log1P", "Expm1",
      "Sigmoid",  "Reciprocal", "Clamp",     "Softplus",     "Tanh",    "Cosh",  "LogSigmoid",
      "ClampMin", "ClampMax",   "Relu",      "Maximum",      "Minimum", "Where", "MaskedFill",
      "Cat",      "Stack",      "HuberLoss", "SmoothL1Loss", "MseLoss"};
  return ops;
}

const OpNames& reduction_ops() {
  static const OpNames ops = {"Sum",       "Mean", "Norm", "LinalgVectorNorm",
                              "Logsumexp", "Var",  "Std",  "Amax",
                              "Max",       "Amin", "Dot",  "Diagonal"};
  return ops;
}

}  // namespace natgrad::detail
