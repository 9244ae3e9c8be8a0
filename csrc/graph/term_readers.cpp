#include "graph/term_readers.h"
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/poisson.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/hand_written_terms.h"
#include "graph/mark_nodes.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "graph/difference.h"
#include "graph/node_kinds.h"
#include "graph/spread_terms.h"
#include "graph/unreadable.h"
#include "libtorch/edges.h"
#include "libtorch/nodes.h"
#include "libtorch/saved.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;

bool always(Node&) { return true; }

/// Whether the edge leads to a node of that op.
bool leads_to(const Edge& edge, Op op) { return edge.is_valid() && op_of(*edge.function) == op; }

/// The node below `edge`, past views and selections, if it is of that op; else null.
Node* op_below(const Edge& edge, Op op) {
  Node* node = edge.function.get();
  while (node != nullptr && is_selection(*node)) node = node->next_edge(0).function.get();
  return node != nullptr && op_of(*node) == op ? node : nullptr;
}

/// What arrives at `below` of elements that are weighted by `weights` at `edge`.
Tensor carried_down(const Tensor& weights, const Edge& edge, Node& below) {
  if (edge.function.get() == &below) return weights;
  return backward({edge}, {weights}, {result_of(below)}).front();
}

// ---- Softmax ----

TermReading categorical(const Edge& outputs, const Tensor& log_p, int64_t dim, const Tensor& c) {
  // log p serves as logits: they are the outputs up to a constant.
  return {outputs, std::make_shared<Categorical>(log_p, dim), -c.sum(dim, /*keepdim=*/true)};
}

TermReading read_log_softmax(Node& node, const Tensor& c) {
  const auto [log_p, dim] = saved_softmax(node);
  return categorical(node.next_edge(0), log_p, dim, c);
}

bool is_log_of_softmax(Node& log) { return op_below(log.next_edge(0), Op::Softmax) != nullptr; }

TermReading read_log_of_softmax(Node& log, const Tensor& c) {
  Node& softmax = *op_below(log.next_edge(0), Op::Softmax);
  const auto [p, dim] = saved_softmax(softmax);
  return categorical(softmax.next_edge(0), p.log(), dim,
                     carried_down(c, log.next_edge(0), softmax));
}

// ---- Sigmoid ----

void check_constant(const Edge& target, const std::string& loss) {
  NATGRAD_CHECK_READABLE(!target.is_valid(), "natgrad: the targets of ", loss,
                         " require a gradient; detach() them, or mark the network's outputs with "
                         "natgrad::outputs(z).");
}

/// ∂loss/∂(one element's binary cross-entropy), but for pos_weight.
Tensor weights_of(const SavedLoss& bce, const Tensor& c) {
  const Tensor s = per_element(c, bce.reduction, bce.self).expand_as(bce.self);
  return bce.weight.defined() ? s * bce.weight : s;
}

TermReading read_binary_cross_entropy_with_logits(Node& node, const Tensor& c) {
  check_constant(node.next_edge(1), "binary_cross_entropy_with_logits");
  const auto bce = saved_loss(node);
  Tensor s = weights_of(bce, c);
  if (const auto& w = bce.pos_weight; w.defined()) s = s * (1 + (w - 1) * bce.target);
  return {node.next_edge(0), std::make_shared<Bernoulli>(bce.self), s};
}

bool is_loss_of_sigmoid(Node& bce) { return op_below(bce.next_edge(0), Op::Sigmoid) != nullptr; }

// LibTorch adds 1e-12 to p(1 - p) in the derivatives of binary_cross_entropy, which makes the
// Hessian of a confident mistake negative. Here the gradient is s (σ(z) - y), on a leaf.
TermReading read_binary_cross_entropy(Node& node, const Tensor& c) {
  check_constant(node.next_edge(1), "binary_cross_entropy");
  const auto bce = saved_loss(node);
  Node& sigmoid = *op_below(node.next_edge(0), Op::Sigmoid);
  Tensor s = weights_of(bce, c);
  const Tensor weighted_y = carried_down(s * bce.target, node.next_edge(0), sigmoid);
  s = carried_down(s, node.next_edge(0), sigmoid);
  const Tensor z = saved_result(sigmoid).logit();
  const torch::AutoGradMode enable_grad(true);
  const Tensor leaf = z.detach().requires_grad_();
  return {sigmoid.next_edge(0), std::make_shared<Bernoulli>(z), s, s * leaf.sigmoid() - weighted_y,
          edge_of(leaf)};
}

// log σ(z) and log σ(-z) have one curvature: both are read as terms of z.
TermReading read_log_sigmoid(Node& node, const Tensor& c) {
  const Tensor z = saved_input(node);
  const auto& below = node.next_edge(0);
  if (!leads_to(below, Op::Neg)) return {below, std::make_shared<Bernoulli>(z), -c};
  return {below.function->next_edge(0), std::make_shared<Bernoulli>(-z), -c};
}

// ---- Differences ----

TermReading read_mse(Node& node, const Tensor& c) {
  const auto mse = saved_loss(node);
  return read_difference(
      node, c,
      {"mse_loss", mse.self, mse.target, mse.reduction, 2,
       [](const Tensor& z) { return std::make_shared<Gaussian>(z); },
       [=](const Tensor& d, const Tensor& y) { return at::mse_loss(d, y, mse.reduction); }});
}

TermReading read_huber(Node& node, const Tensor& c) {
  const auto huber = saved_loss(node);
  const auto reduction = huber.reduction;
  const auto delta = huber.scale;
  return read_difference(
      node, c,
      {"huber_loss", huber.self, huber.target, reduction, 1,
       [=](const Tensor& z) { return std::make_shared<Huber>(z, delta); },
       [=](const Tensor& d, const Tensor& y) { return at::huber_loss(d, y, reduction, delta); }});
}

// smooth_l1(d) = huber of d/√β with δ = √β: |d| beyond β, d²/(2β) within.
TermReading read_smooth_l1(Node& node, const Tensor& c) {
  const auto smooth = saved_loss(node);
  const auto reduction = smooth.reduction;
  const auto beta = smooth.scale;
  const auto root = std::sqrt(beta);
  return read_difference(node, c,
                         {"smooth_l1_loss", smooth.self, smooth.target, reduction, 1,
                          [=](const Tensor& z) -> std::shared_ptr<const Likelihood> {
                            if (beta == 0) return std::make_shared<Laplace>(z);
                            return std::make_shared<Huber>(z, root, root);
                          },
                          [=](const Tensor& d, const Tensor& y) {
                            return at::smooth_l1_loss(d, y, reduction, beta);
                          }});
}

/// Broadcasting [N] against [N, 1] is a mistake.
void check_same_shape(const std::string& loss, const Edge& z, torch::IntArrayRef result) {
  NATGRAD_CHECK_READABLE(
      !z.is_valid() || shape_at(z) == result, "natgrad: ", loss, " broadcast outputs of shape ",
      shape_at(z), " to ", result,
      ", so that every output is compared with several targets. Give them the same shape "
      "([N] and [N, 1] differ): use view_as or unsqueeze.");
}

// l1_loss has no node of its own, and leaves the difference in the graph. A location family may
// take it for z: only y - z counts.
TermReading read_absolute_value(Node& node, const Tensor& c) {
  const Tensor d = saved_input(node);
  if (!leads_to(node.next_edge(0), Op::Sub)) {
    return {node.next_edge(0), std::make_shared<Laplace>(d), c};
  }
  const Node& sub = *node.next_edge(0).function;
  const Edge &left = sub.next_edge(0), &right = sub.next_edge(1);
  check_same_shape("l1_loss", left, d.sizes());
  check_same_shape("l1_loss", right, d.sizes());
  const auto likelihood = std::make_shared<Laplace>(d);
  const bool plain = alpha_of(sub) == 1 && left.is_valid() != right.is_valid();
  if (!plain) return {node.next_edge(0), likelihood, c};
  return {left.is_valid() ? left : right, likelihood, c};
}

// ---- exp(z) - y z ----

bool is_poisson(Node& sub) {
  const Edge &exp = sub.next_edge(0), &product = sub.next_edge(1);
  if (!leads_to(exp, Op::Exp) || !leads_to(product, Op::Mul) || alpha_of(sub) != 1) return false;
  const Edge &left = product.function->next_edge(0), &right = product.function->next_edge(1);
  return left.is_valid() != right.is_valid() &&
         (left.is_valid() ? left : right) == exp.function->next_edge(0);
}

TermReading read_poisson(Node& node, const Tensor& c) {
  Node& exp = *node.next_edge(0).function;
  check_same_shape("poisson_nll_loss", exp.next_edge(0), c.sizes());
  return {exp.next_edge(0), std::make_shared<Poisson>(saved_result(exp).log()), c};
}

// ---- The user's own ----

bool is_nll(Node& node) { return typeid(node) == typeid(NegativeLogLikelihoodNode); }

TermReading read_nll(Node& node, const Tensor& c) {
  auto& nll = static_cast<NegativeLogLikelihoodNode&>(node);
  check_unchanged(*nll.likelihood, nll.version);
  return {nll.outputs, nll.likelihood, nll.likelihood->align(c)};
}

struct Reader {
  Op op;
  const char* loss;           // for messages
  bool (*recognises)(Node&);  // given a node of that op
  TermReading (*read)(Node&, const Tensor&);
  bool is_hand_written = false;
  TermReading (*read_second)(Node&, const Tensor&) = nullptr;
};

/// One line a recognised node.
const std::vector<Reader>& readers() {
  static const std::vector<Reader> table = {
      {Op::LogSoftmax, "cross_entropy (or any linear function of log_softmax)", always,
       read_log_softmax},
      {Op::Log, "nll_loss of log(softmax)", is_log_of_softmax, read_log_of_softmax},
      {Op::BinaryCrossEntropyWithLogits, "binary_cross_entropy_with_logits", always,
       read_binary_cross_entropy_with_logits},
      {Op::BinaryCrossEntropy, "binary_cross_entropy of sigmoid", is_loss_of_sigmoid,
       read_binary_cross_entropy},
      {Op::LogSigmoid, "multilabel_soft_margin_loss (log_sigmoid)", always, read_log_sigmoid},
      {Op::MseLoss, "mse_loss", always, read_mse},
      {Op::HuberLoss, "huber_loss", always, read_huber},
      {Op::SmoothL1Loss, "smooth_l1_loss", always, read_smooth_l1},
      {Op::Abs, "l1_loss (or any sum of absolute values)", always, read_absolute_value},
      {Op::Sub, "poisson_nll_loss (log_input)", is_poisson, read_poisson},
      {Op::Pow, "any sum of squares", is_square, read_square, true},
      {Op::Mul, "r * r", is_square, read_square, true},
      {Op::Mul, "r² exp(-log v) + log v", is_scaled_square, read_scaled_square, true, read_spread},
      {Op::Div, "r²/v + log(v), gaussian_nll_loss", is_scaled_square, read_scaled_square, true,
       read_spread},
      {Op::Logsumexp, "logsumexp(z) and what is linear in z", is_logsumexp, read_logsumexp, true},
      {Op::Softplus, "softplus(z) and what is linear in z", is_softplus, read_softplus, true},
      {Op::Log, "log(sigmoid(z)), log(1 - sigmoid(z))", is_log_of_sigmoid, read_log_of_sigmoid,
       true},
      {Op::Exp, "exp(z) and what is linear in z", is_exp, read_exp, true},
      {Op::Other, "natgrad::nll(likelihood, y)", is_nll, read_nll},
  };
  return table;
}

const Reader* reader_of(Node& node) {
  static const auto by_op = [] {
    std::unordered_multimap<Op, const Reader*> map;
    for (const auto& reader : readers()) map.emplace(reader.op, &reader);
    return map;
  }();
  const auto [first, last] = by_op.equal_range(op_of(node));
  const auto found =
      std::find_if(first, last, [&](const auto& entry) { return entry.second->recognises(node); });
  return found != last ? found->second : nullptr;
}

}  // namespace

bool is_likelihood_node(Node& node) { return reader_of(node) != nullptr; }

bool is_hand_written(Node& node) {
  const auto* reader = reader_of(node);
  return reader != nullptr && reader->is_hand_written;
}

namespace {

TermReading read_by(TermReading (*read)(Node&, const Tensor&), Node& node, const Tensor& c) {
  torch::NoGradGuard no_grad;
  TermReading reading;
  with_graph_errors([&] { reading = read(node, c.detach()); });
  return reading;
}

}  // namespace

TermReading read_term(Node& node, const Tensor& coefficient) {
  return read_by(reader_of(node)->read, node, coefficient);
}

bool has_second_term(Node& node) { return reader_of(node)->read_second != nullptr; }

std::optional<TermReading> read_second_term(Node& node, const Tensor& coefficient) {
  const auto read = reader_of(node)->read_second;
  return read ? std::optional(read_by(read, node, coefficient)) : std::nullopt;
}

torch::autograd::edge_list natural_outputs_of(Node& node) {
  torch::autograd::edge_list outputs;
  if (!is_likelihood_node(node)) return outputs;
  const auto none = zeros_at(result_of(node));
  const auto add = [&](const TermReading& term) {
    if (term.has_linear_part) outputs.push_back(term.outputs);
  };
  add(read_term(node, none));
  if (const auto second = read_second_term(node, none)) add(*second);
  return outputs;
}

std::optional<NamedOutputs> named_outputs(Node& node) {
  const torch::NoGradGuard no_grad;
  const auto op = op_of(node);
  if (op == Op::Softmax) {
    const auto [p, dim] = saved_softmax(node);
    return NamedOutputs{node.next_edge(0), std::make_shared<Categorical>(p.log(), dim)};
  }
  if (op == Op::Sigmoid) {
    return NamedOutputs{node.next_edge(0), std::make_shared<Bernoulli>(saved_result(node).logit())};
  }
  if (!is_likelihood_node(node) || is_hand_written(node)) return std::nullopt;
  const auto term = read_term(node, zeros_at(result_of(node)));
  const auto* likelihood = term.likelihood.get();
  const bool is_named = dynamic_cast<const Categorical*>(likelihood) != nullptr ||
                        dynamic_cast<const Bernoulli*>(likelihood) != nullptr;
  if (!is_named) return std::nullopt;
  return NamedOutputs{term.outputs, term.likelihood};
}

std::string readable_losses() {
  std::vector<std::string> losses;
  for (const auto& reader : readers()) losses.push_back(reader.loss);
  return fmt::format("{}", fmt::join(losses, ", "));
}

}  // namespace natgrad::detail
