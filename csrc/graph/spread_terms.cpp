#include "graph/spread_terms.h"

#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <natgrad/likelihoods/residual_spread.h>
#include <torch/torch.h>

#include <optional>

#include "graph/backward.h"
#include "graph/hand_written_terms.h"
#include "graph/unreadable.h"
#include "libtorch/nodes.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;

/// The edge past products with numbers, whose product `factor` is multiplied with.
Edge without_factors(Edge edge, double& factor) {
  while (edge.is_valid()) {
    const auto number = factor_of(*edge.function);
    if (!number) break;
    factor *= *number;
    edge = edge.function->next_edge(0);
  }
  return edge;
}

bool leads_to_square(const Edge& edge) {
  double factor = 1;
  const auto below = without_factors(edge, factor);
  if (!below.is_valid()) return false;
  const auto op = op_of(*below.function);
  return (op == Op::Pow || op == Op::Mul) && is_square(*below.function);
}

/// The exponential at the edge, past products with constants; else null.
Node* exponential_at(const Edge& edge) {
  double factor = 1;
  const auto below = [&factor](const Edge& e) { return without_factors(e, factor).function.get(); };
  Node* node = below(edge);
  while (node != nullptr && op_of(*node) == Op::Mul) {
    const auto &left = node->next_edge(0), &right = node->next_edge(1);
    if (left.is_valid() == right.is_valid()) return nullptr;
    node = below(left.is_valid() ? left : right);
  }
  return node != nullptr && op_of(*node) == Op::Exp ? node : nullptr;
}

/// A product or quotient by its parts.
struct ScaledSquare {
  Edge square, spread;
  Tensor squares, scale;  ///< k r², and what it is multiplied with
  bool is_quotient;

  /// The square below `square`, where c k arrives of c.
  std::pair<Node*, Tensor> square_of(const Tensor& c) const {
    double k = 1;
    Node* node = without_factors(square, k).function.get();
    return {node, c * k};
  }
};

std::optional<ScaledSquare> parts_of(Node& node) {
  const auto &left = node.next_edge(0), &right = node.next_edge(1);
  if (!left.is_valid() || !right.is_valid() || left == right) return std::nullopt;
  const auto [first, second] = saved_factors(node);
  if (op_of(node) == Op::Div) {
    if (!leads_to_square(left)) return std::nullopt;
    return ScaledSquare{left, right, first, second.reciprocal(), true};
  }
  if (leads_to_square(left) && exponential_at(right)) {
    return ScaledSquare{left, right, first, second, false};
  }
  if (leads_to_square(right) && exponential_at(left)) {
    return ScaledSquare{right, left, second, first, false};
  }
  return std::nullopt;
}

void check_scale(const ScaledSquare& parts, const Tensor& c) {
  NATGRAD_CHECK_READABLE(c.lt(0).logical_not().all().item<bool>() &&
                             parts.scale.le(0).logical_not().all().item<bool>() &&
                             parts.squares.sizes() == c.sizes() && parts.scale.sizes() == c.sizes(),
                         "natgrad: the loss holds r²/v with a negative factor or variance, or "
                         "broadcasts the two. Give "
                         "both one shape, and keep v positive; with log v among the outputs write "
                         "natgrad::nll(natgrad::LogVarianceGaussian(z), y), z of [N, 2].");
}

}  // namespace

bool is_scaled_square(Node& node) {
  if (!node.next_edge(0).is_valid() || !node.next_edge(1).is_valid()) return false;
  bool is_pair = false;
  with_graph_errors([&] { is_pair = parts_of(node).has_value(); });
  return is_pair;
}

TermReading read_scaled_square(Node& node, const Tensor& c) {
  const auto parts = *parts_of(node);
  check_scale(parts, c);
  const auto [square, c_of_square] = parts.square_of(c);
  auto term = read_square(*square, c_of_square);
  term.weights = 2 * c_of_square * parts.scale;
  return term;
}

TermReading read_spread(Node& node, const Tensor& coefficient) {
  const auto parts = *parts_of(node);
  const auto c = parts.square_of(coefficient).second;
  using By = ResidualSpread::By;
  const auto spread = [](const Edge& z, std::shared_ptr<const Likelihood> likelihood, Tensor s,
                         double normaliser = 0.5) {
    TermReading term{z, std::move(likelihood), std::move(s)};
    term.has_linear_part = true;
    term.normaliser = normaliser;
    return term;
  };
  Node* exp = exponential_at(parts.spread);
  if (exp == nullptr) {
    double k = 1;
    const auto z = without_factors(parts.spread, k);
    const auto v = parts.scale.reciprocal() / k;
    auto term = spread(z, std::make_shared<ResidualSpread>(v, By::Variance), 2 * c / k);
    term.is_normalised_by_log = true;
    return term;
  }
  const auto exponent = saved_result(*exp).log();
  const auto& below = exp->next_edge(0);
  if (parts.is_quotient) {
    // r²/(k e^z): what the constant k makes of c is the factor of log v.
    const auto k = (parts.scale.reciprocal() / saved_result(*exp));
    return spread(below, std::make_shared<ResidualSpread>(exponent), 2 * c / k);
  }
  const auto k = parts.scale / saved_result(*exp);
  if (op_of(*below.function) == Op::Neg) {
    return spread(below.function->next_edge(0), std::make_shared<ResidualSpread>(-exponent),
                  2 * c * k);
  }
  return spread(below, std::make_shared<LogRateExponential>(exponent), c * k, -1);
}

}  // namespace natgrad::detail
