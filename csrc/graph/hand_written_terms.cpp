#include "graph/hand_written_terms.h"

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/poisson.h>
#include <torch/torch.h>

#include <algorithm>

#include "graph/backward.h"
#include "graph/broadcasts.h"
#include "graph/unreadable.h"
#include "libtorch/edges.h"
#include "libtorch/nodes.h"
#include "libtorch/op_names.h"
#include "libtorch/ways_out.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;

namespace {

/// A concave part has no likelihood: A(z) with a negative factor, as in a mixture's
/// -log Σ exp(z).
void check_not_negative(const Tensor& s, Node& node, const char* part) {
  NATGRAD_CHECK_READABLE(s.ge(0).all().item<bool>(), "natgrad: the loss holds ", part,
                         " with a negative factor, which is no likelihood's. ",
                         way_out_of(op_of(node)));
}

TermReading natural_term(Node& node, const Edge& z, std::shared_ptr<const Likelihood> likelihood,
                         const Tensor& s, const char* part) {
  check_not_negative(s, node, part);
  TermReading term{z, std::move(likelihood), s};
  term.has_linear_part = true;
  return term;
}

/// z through a change of sign, and whether there was one.
std::pair<Edge, bool> without_sign(const Edge& edge) {
  if (edge.is_valid() && op_of(*edge.function) == Op::Neg) {
    return {edge.function->next_edge(0), true};
  }
  return {edge, false};
}

}  // namespace

// ---- Squares ----

bool is_square(Node& node) {
  if (op_of(node) == Op::Mul) {
    return node.next_edge(0).is_valid() && node.next_edge(0) == node.next_edge(1);
  }
  if (exponent_of_pow(node) != 2) return false;
  const auto& below = op_name(*node.next_edge(0).function);
  return below != "LinalgVectorNorm" && below != "Norm";
}

namespace {

/// The z of r = z - y or y - z for constant y, else r.
Edge location_below(const Edge& r) {
  Node& node = *r.function;
  if (op_of(node) != Op::Sub) return r;
  const Edge &left = node.next_edge(0), &right = node.next_edge(1);
  if (left.is_valid() == right.is_valid()) return r;
  const auto result = shape_at(r);
  const auto& z = left.is_valid() ? left : right;
  check_no_outer_difference(z, result);
  return alpha_of(node) == 1 && shape_at(z) == result ? z : r;
}

}  // namespace

TermReading read_square(Node& node, const Tensor& c) {
  const auto r = op_of(node) == Op::Mul ? saved_factors(node).first : saved_input(node);
  return natural_term(node, location_below(node.next_edge(0)), std::make_shared<Gaussian>(r), 2 * c,
                      "a square");
}

// ---- Softmax and sigmoid ----

bool is_logsumexp(Node& node) { return dimensions_of(node).dims.size() == 1; }

TermReading read_logsumexp(Node& node, const Tensor& c) {
  const auto z = saved_input(node);
  const auto [dims, keeps] = dimensions_of(node);
  const auto dim = c10::maybe_wrap_dim(dims.front(), z.dim());
  return natural_term(node, node.next_edge(0), std::make_shared<Categorical>(z, dim),
                      keeps ? c : c.unsqueeze(dim), "log Σ exp(z)");
}

bool is_softplus(Node& node) { return beta_of_softplus(node) == 1; }

TermReading read_softplus(Node& node, const Tensor& c) {
  const auto [edge, is_negated] = without_sign(node.next_edge(0));
  check_no_outer_products({edge.function.get()});  // labels of ±1
  const auto z = saved_input(node);
  return natural_term(node, edge, std::make_shared<Bernoulli>(is_negated ? -z : z), c,
                      "a softplus");
}

namespace {

// What users add to a probability before its logarithm, or clamp it to, is less.
constexpr double kLargestEpsilon = 1e-3;

/// The sigmoid below a logarithm, past numbers that are added, clamping, 1 - p and other shapes.
Node* sigmoid_below(Node& log) {
  static const OpNames passed = {"Add",       "Sub",      "Rsub",        "Neg",
                                 "Clamp",     "ClampMin", "ClampMax",    "Squeeze",
                                 "Unsqueeze", "View",     "ReshapeAlias"};
  Node* node = log.next_edge(0).function.get();
  while (node != nullptr && passed.contains(op_name(*node))) {
    const auto& edges = node->next_edges();
    const bool is_of_one = std::count_if(edges.begin(), edges.end(),
                                         [](const Edge& edge) { return edge.is_valid(); }) == 1;
    if (!is_of_one) return nullptr;
    const auto& given = edges[0].is_valid() ? edges[0] : edges[1];
    node = given.function.get();
  }
  return node != nullptr && op_of(*node) == Op::Sigmoid ? node : nullptr;
}

bool is_close(const Tensor& p, const Tensor& q) {
  return p.numel() == q.numel() && p.numel() > 0 &&
         p.sub(q.reshape(p.sizes())).abs().max().item<double>() <= kLargestEpsilon;
}

}  // namespace

bool is_log_of_sigmoid(Node& log) {
  Node* sigmoid = sigmoid_below(log);
  if (sigmoid == nullptr) return false;
  const torch::NoGradGuard no_grad;
  bool is_probability = false;
  with_graph_errors([&] {
    const auto q = saved_input(log), p = saved_result(*sigmoid);
    is_probability = is_close(p, q) || is_close(1 - p, q);
  });
  return is_probability;
}

TermReading read_log_of_sigmoid(Node& log, const Tensor& c) {
  Node& sigmoid = *sigmoid_below(log);
  const auto p = saved_result(sigmoid);
  return natural_term(log, sigmoid.next_edge(0), std::make_shared<Bernoulli>(p.logit()),
                      -c.reshape(p.sizes()), "the logarithm of a sigmoid");
}

// ---- Exponentials ----

bool is_exp(Node&) { return true; }

TermReading read_exp(Node& node, const Tensor& c) {
  return natural_term(node, node.next_edge(0), std::make_shared<Poisson>(saved_result(node).log()),
                      c, "exp(z)");
}

}  // namespace natgrad::detail
