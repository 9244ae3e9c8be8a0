#include "libtorch/op_names.h"

namespace natgrad::detail {

using torch::autograd::Node;

std::string op_name(const Node& node) {
  const auto name = node.name();
  return name.substr(0, name.rfind("Backward"));
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
