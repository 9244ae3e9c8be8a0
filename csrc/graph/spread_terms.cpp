#include "graph/spread_terms.h"

#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <natgrad/likelihoods/residual_spread.h>
#include <torch/torch.h>

#include <optional>
#include <vector>

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

/// The edge past products with numbers and constants.
Edge without_constants(Edge edge) {
  double factor = 1;
  edge = without_factors(edge, factor);
  while (edge.is_valid() && op_of(*edge.function) == Op::Mul) {
    const auto &left = edge.function->next_edge(0), &right = edge.function->next_edge(1);
    if (left.is_valid() == right.is_valid()) break;
    edge = without_factors(left.is_valid() ? left : right, factor);
  }
  return edge;
}

/// The edge past products with numbers and changes of sign, whose product `factor` becomes.
Edge without_signs_and_factors(Edge edge, double& factor) {
  edge = without_factors(edge, factor);
  while (edge.is_valid() && op_of(*edge.function) == Op::Neg) {
    factor = -factor;
    edge = without_factors(edge.function->next_edge(0), factor);
  }
  return edge;
}

/// k q or k q², and of q = e^(a z) the exponential.
struct Power {
  Node *square = nullptr, *exp = nullptr;
  double degree() const { return square == nullptr ? 1 : 2; }
};

Power power_at(const Edge& edge) {
  Power power;
  auto below = without_constants(edge);
  if (!below.is_valid()) return power;
  if (leads_to_square(below)) {
    power.square = below.function.get();
    below = without_constants(power.square->next_edge(0));
  }
  if (below.is_valid() && op_of(*below.function) == Op::Exp) power.exp = below.function.get();
  return power;
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
  if (leads_to_square(left) && power_at(right).exp) {
    return ScaledSquare{left, right, first, second, false};
  }
  if (leads_to_square(right) && power_at(left).exp) {
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

namespace {

using By = ResidualSpread::By;

/// The z that tells the variance v of r²/v.
struct SpreadOutput {
  Edge edge;
  Tensor z;
  double power;  ///< b of v ∝ e^(b z), or of v ∝ zᵇ
};

/// Of v ∝ e^(b z).
SpreadOutput output_of_exponential(const ScaledSquare& parts, const Power& power) {
  const auto exponent = saved_result(*power.exp).log();
  const double sign = parts.is_quotient ? 1 : -1;
  double factor = 1;
  const auto z = without_signs_and_factors(power.exp->next_edge(0), factor);
  const double b = sign * power.degree() * factor;
  if (b == 1 || b == 2 || b == -1) return {z, exponent / factor, b};
  // Any other factor stays within z, as in v = e^w with w = 3 z.
  return {power.exp->next_edge(0), exponent, sign * power.degree()};
}

/// Of v ∝ σ², for σ > 0, or of v itself.
SpreadOutput output_of_power(const ScaledSquare& parts, const Power& power) {
  if (power.square != nullptr) {
    const auto sigma = op_of(*power.square) == Op::Mul ? saved_factors(*power.square).first
                                                       : saved_input(*power.square);
    if (sigma.gt(0).all().item<bool>()) return {power.square->next_edge(0), sigma, 2};
  }
  double k = 1;
  const auto z = without_factors(parts.spread, k);
  return {z, parts.scale.reciprocal() / k, 1};
}

std::shared_ptr<const Likelihood> likelihood_of(const SpreadOutput& of, bool is_exponential) {
  if (is_exponential && of.power == -1) return std::make_shared<LogRateExponential>(of.z);
  NATGRAD_CHECK_READABLE(of.power == 1 || of.power == 2,
                         "natgrad: the loss holds r² exp(2 z), in which z is no logarithm of a "
                         "variance or of a deviation: write r² exp(-2 z) with z = log σ.");
  const auto log = of.power == 1 ? By::LogVariance : By::LogDeviation;
  const auto itself = of.power == 1 ? By::Variance : By::Deviation;
  return std::make_shared<ResidualSpread>(of.z, is_exponential ? log : itself);
}

}  // namespace

TermReading read_spread(Node& node, const Tensor& coefficient) {
  const auto parts = *parts_of(node);
  const auto c = parts.square_of(coefficient).second;
  const auto power = power_at(parts.spread);
  const bool is_exponential = power.exp != nullptr;
  const auto [edge, z, b] =
      is_exponential ? output_of_exponential(parts, power) : output_of_power(parts, power);
  TermReading term{edge, likelihood_of({edge, z, b}, is_exponential), {}};
  // c·scale·r² = c·scale·v · r²/v, where constants may stand beside v.
  const auto v = is_exponential ? (b * z).exp() : z.pow(b);
  const bool is_rate = b == -1;
  term.weights = (is_rate ? 1 : 2) * c * parts.scale * v;
  term.has_linear_part = true;
  term.normaliser = is_rate ? -1 : b / 2;
  term.is_normalised_by_log = !is_exponential;
  return term;
}

std::vector<Logarithm> logarithms_of(const Edge& q) {
  std::vector<Logarithm> known = {{q, 1, false}};
  const auto power = power_at(q);
  if (power.exp != nullptr) {
    const auto& exponent = power.exp->next_edge(0);
    double factor = power.degree();
    known.push_back({exponent, factor, true});
    const auto z = without_signs_and_factors(exponent, factor);
    known.push_back({z, factor, true});
  } else if (power.square != nullptr) {
    known.push_back({power.square->next_edge(0), 2, false});
  }
  return known;
}

}  // namespace natgrad::detail
