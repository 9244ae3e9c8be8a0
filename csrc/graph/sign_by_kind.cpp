#include "graph/sign_by_kind.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "libtorch/nodes.h"
#include "libtorch/op_names.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;

enum class Sign { Unknown, NotNegative, NotPositive };

Sign flipped(Sign sign) {
  switch (sign) {
    case Sign::NotNegative:
      return Sign::NotPositive;
    case Sign::NotPositive:
      return Sign::NotNegative;
    default:
      return Sign::Unknown;
  }
}

Sign if_not_negative(bool known) { return known ? Sign::NotNegative : Sign::Unknown; }

bool is_even(double exponent) { return std::fmod(exponent, 2) == 0; }

/// The signs below one edge, each found once.
class Signs {
 public:
  Sign of(const Edge& edge) {
    if (!edge.is_valid()) return Sign::Unknown;
    Node& node = *edge.function;
    if (const auto known = signs_.find(&node); known != signs_.end()) return known->second;
    return signs_[&node] = of_node(node);
  }

 private:
  Sign common(Node& node);
  Sign of_factor(const Edge& edge, const Tensor& value);
  Sign of_product(Node& node);
  Sign by_name(Node& node);
  Sign of_node(Node& node);

  std::unordered_map<const Node*, Sign> signs_;
};

/// The sign that all inputs with a gradient have; a constant among them is unknown.
Sign Signs::common(Node& node) {
  const auto& edges = node.next_edges();
  if (edges.empty()) return Sign::Unknown;
  const auto first = of(edges.front());
  const bool alike =
      std::all_of(edges.begin(), edges.end(), [&](const Edge& edge) { return of(edge) == first; });
  return alike ? first : Sign::Unknown;
}

/// Of a factor: by its graph, else by the numbers that the other one's gradient kept.
Sign Signs::of_factor(const Edge& edge, const Tensor& value) {
  if (edge.is_valid()) return of(edge);
  if (!value.defined()) return Sign::Unknown;
  if (value.ge(0).all().item<bool>()) return Sign::NotNegative;
  return value.le(0).all().item<bool>() ? Sign::NotPositive : Sign::Unknown;
}

Sign Signs::of_product(Node& node) {
  const auto &a = node.next_edge(0), &b = node.next_edge(1);
  if (op_of(node) == Op::Mul && a.is_valid() && a == b) return Sign::NotNegative;  // a square
  const auto [left, right] = saved_factors(node);
  const auto first = of_factor(a, left), second = of_factor(b, right);
  if (first == Sign::Unknown || second == Sign::Unknown) return Sign::Unknown;
  return first == second ? Sign::NotNegative : Sign::NotPositive;
}

/// The sign of a logarithm of what is a probability.
Sign sign_of_log(Node& log) {
  const auto& below = log.next_edge(0);
  const auto op = below.is_valid() ? op_of(*below.function) : Op::Other;
  return op == Op::Softmax || op == Op::Sigmoid ? Sign::NotPositive : Sign::Unknown;
}

/// By name, of the ops that no gradient's saved numbers are needed for.
Sign Signs::by_name(Node& node) {
  static const OpNames not_negative = {
      "Relu",  "Sqrt",    "Norm",           "LinalgVectorNorm", "Softplus", "Var",  "Std",
      "Cdist", "CtcLoss", "SoftMarginLoss", "MultiMarginLoss",  "Cosh",     "Rsqrt"};
  static const OpNames not_positive = {"LogSoftmax", "LogSigmoid"};
  static const OpNames keeping = {"Sum",   "Mean",    "Amax",     "Amin",  "Max",
                                  "Min",   "Clone",   "Stack",    "Cat",   "Log1P",
                                  "Where", "Minimum", "NanToNum", "Expm1", "Maximum"};
  static const OpNames flipping = {"NllLoss", "NllLoss2D", "Neg"};
  if (const auto factor = factor_of(node)) {
    return *factor >= 0 ? of(node.next_edge(0)) : flipped(of(node.next_edge(0)));
  }
  const auto& op = op_name(node);
  if (not_negative.contains(op)) return Sign::NotNegative;
  if (not_positive.contains(op)) return Sign::NotPositive;
  if (flipping.contains(op)) return flipped(common(node));
  const bool keeps = keeping.contains(op) || view_ops().contains(op) || gather_ops().contains(op);
  return keeps ? common(node) : Sign::Unknown;
}

Sign Signs::of_node(Node& node) {
  switch (op_of(node)) {
    case Op::Abs:
    case Op::Exp:
    case Op::Sigmoid:
    case Op::Softmax:
    case Op::MseLoss:
    case Op::HuberLoss:
    case Op::SmoothL1Loss:
    case Op::BinaryCrossEntropy:
    case Op::BinaryCrossEntropyWithLogits:
      return Sign::NotNegative;
    case Op::Pow:
      return if_not_negative(is_even(exponent_of_pow(node)) ||
                             of(node.next_edge(0)) == Sign::NotNegative);
    case Op::Clamp:
    case Op::ClampMin:
      return if_not_negative(least_of_clamp(node).value_or(-1) >= 0);
    case Op::Add:  // of two tensors: a number that was added is not known
      return alpha_of(node) >= 0 ? common(node) : Sign::Unknown;
    case Op::Mul:
    case Op::Div:
      return of_product(node);
    case Op::Log:
      return sign_of_log(node);
    default:
      return by_name(node);
  }
}

}  // namespace

bool is_non_negative_by_kind(const Edge& edge) { return Signs().of(edge) == Sign::NotNegative; }

}  // namespace natgrad::detail
