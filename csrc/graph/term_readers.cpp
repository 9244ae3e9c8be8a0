#include "graph/term_readers.h"
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/poisson.h>
#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/mark_nodes.h"

#include <cmath>
#include <typeindex>
#include <unordered_map>

#include "graph/difference.h"
#include "graph/node_kinds.h"
#include "graph/saved.h"
#include "graph/unreadable.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;
using namespace torch::autograd::generated;  // NOLINT: the names of LibTorch's own nodes

bool always(Node&) { return true; }

/// The node below `edge`, past views and selections, if it is an `Op`; else null.
template <class Op>
Op* op_below(const Edge& edge) {
  Node* node = edge.function.get();
  while (node != nullptr && is_selection(*node)) node = node->next_edge(0).function.get();
  return dynamic_cast<Op*>(node);
}

/// What arrives at `below` of elements that are weighted by `weights` at `edge`.
Tensor carried_down(const Tensor& weights, const Edge& edge, Node& below) {
  if (edge.function.get() == &below) return weights;
  const Edge end(c10::intrusive_ptr<Node>::reclaim_copy(&below), 0);
  return backward({edge}, {weights}, {end}).front();
}

// ---- Softmax ----

TermReading categorical(const Edge& outputs, const Tensor& log_p, int64_t dim, const Tensor& c) {
  // log p serves as logits: they are the outputs up to a constant.
  return {outputs, std::make_shared<Categorical>(log_p, dim), -c.sum(dim, /*keepdim=*/true)};
}

TermReading read_log_softmax(Node& node, const Tensor& c) {
  auto& log_softmax = static_cast<LogSoftmaxBackward0&>(node);
  return categorical(node.next_edge(0), saved(log_softmax.result_, node), log_softmax.dim, c);
}

bool is_log_of_softmax(Node& log) {
  return op_below<SoftmaxBackward0>(log.next_edge(0)) != nullptr;
}

TermReading read_log_of_softmax(Node& log, const Tensor& c) {
  auto& softmax = *op_below<SoftmaxBackward0>(log.next_edge(0));
  return categorical(softmax.next_edge(0), saved(softmax.result_, softmax).log(), softmax.dim,
                     carried_down(c, log.next_edge(0), softmax));
}

// ---- Sigmoid ----

void check_constant(const Edge& target, const std::string& loss) {
  NATGRAD_CHECK_READABLE(!target.is_valid(), "natgrad: the targets of ", loss,
                         " require a gradient; detach() them, or mark the network's outputs with "
                         "natgrad::outputs(z).");
}

TermReading read_binary_cross_entropy_with_logits(Node& node, const Tensor& c) {
  auto& bce = static_cast<BinaryCrossEntropyWithLogitsBackward0&>(node);
  check_constant(node.next_edge(1), "binary_cross_entropy_with_logits");
  const Tensor z = saved(bce.self_, node), y = saved(bce.target_, node);
  Tensor s = per_element(c, bce.reduction, z).expand_as(z);
  if (const Tensor weight = saved(bce.weight_, node); weight.defined()) s = s * weight;
  if (const Tensor w = saved(bce.pos_weight_, node); w.defined()) s = s * (1 + (w - 1) * y);
  return {node.next_edge(0), std::make_shared<Bernoulli>(z), s};
}

bool is_loss_of_sigmoid(Node& bce) {
  return op_below<SigmoidBackward0>(bce.next_edge(0)) != nullptr;
}

// LibTorch adds 1e-12 to p(1 - p) in the derivatives of binary_cross_entropy, which makes the
// Hessian of a confident mistake negative. Here the gradient is s (σ(z) - y), on a leaf.
TermReading read_binary_cross_entropy(Node& node, const Tensor& c) {
  auto& bce = static_cast<BinaryCrossEntropyBackward0&>(node);
  auto& sigmoid = *op_below<SigmoidBackward0>(node.next_edge(0));
  check_constant(node.next_edge(1), "binary_cross_entropy");
  const Tensor p = saved(bce.self_, node), y = saved(bce.target_, node);
  Tensor s = per_element(c, bce.reduction, p).expand_as(p);
  if (const Tensor weight = saved(bce.weight_, node); weight.defined()) s = s * weight;
  const Tensor weighted_y = carried_down(s * y, node.next_edge(0), sigmoid);
  s = carried_down(s, node.next_edge(0), sigmoid);
  const Tensor z = saved(sigmoid.result_, sigmoid).logit();
  const torch::AutoGradMode enable_grad(true);
  const Tensor leaf = z.detach().requires_grad_();
  return {sigmoid.next_edge(0), std::make_shared<Bernoulli>(z), s, s * leaf.sigmoid() - weighted_y,
          torch::autograd::impl::gradient_edge(leaf)};
}

// log σ(z) and log σ(-z) have one curvature: both are read as terms of z.
TermReading read_log_sigmoid(Node& node, const Tensor& c) {
  const Tensor z = saved(static_cast<LogSigmoidBackward0&>(node).self_, node);
  auto* negation = dynamic_cast<NegBackward0*>(node.next_edge(0).function.get());
  if (negation == nullptr) return {node.next_edge(0), std::make_shared<Bernoulli>(z), -c};
  return {negation->next_edge(0), std::make_shared<Bernoulli>(-z), -c};
}

// ---- Differences ----

TermReading read_mse(Node& node, const Tensor& c) {
  auto& mse = static_cast<MseLossBackward0&>(node);
  const Tensor a = saved(mse.self_, node), b = saved(mse.target_, node);
  const auto reduction = mse.reduction;
  return read_difference(
      node, c,
      {"mse_loss", a, b, reduction, 2,
       [](const Tensor& z) { return std::make_shared<Gaussian>(z); },
       [=](const Tensor& d, const Tensor& y) { return at::mse_loss(d, y, reduction); }});
}

TermReading read_huber(Node& node, const Tensor& c) {
  auto& huber = static_cast<HuberLossBackward0&>(node);
  const Tensor a = saved(huber.self_, node), b = saved(huber.target_, node);
  const auto reduction = huber.reduction;
  const auto delta = huber.delta;
  return read_difference(
      node, c,
      {"huber_loss", a, b, reduction, 1,
       [=](const Tensor& z) { return std::make_shared<Huber>(z, delta); },
       [=](const Tensor& d, const Tensor& y) { return at::huber_loss(d, y, reduction, delta); }});
}

// smooth_l1(d) = huber of d/√β with δ = √β: |d| beyond β, d²/(2β) within.
TermReading read_smooth_l1(Node& node, const Tensor& c) {
  auto& smooth = static_cast<SmoothL1LossBackward0&>(node);
  const Tensor a = saved(smooth.self_, node), b = saved(smooth.target_, node);
  const auto reduction = smooth.reduction;
  const auto beta = smooth.beta;
  const auto root = std::sqrt(beta);
  return read_difference(node, c,
                         {"smooth_l1_loss", a, b, reduction, 1,
                          [=](const Tensor& z) -> std::shared_ptr<const Likelihood> {
                            if (beta == 0) return std::make_shared<Laplace>(z);
                            return std::make_shared<Huber>(z, root, root);
                          },
                          [=](const Tensor& d, const Tensor& y) {
                            return at::smooth_l1_loss(d, y, reduction, beta);
                          }});
}

bool is_absolute_difference(Node& abs) {
  return dynamic_cast<SubBackward0*>(abs.next_edge(0).function.get()) != nullptr;
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
TermReading read_absolute_difference(Node& node, const Tensor& c) {
  const Tensor d = saved(static_cast<AbsBackward0&>(node).self_, node);
  auto& sub = static_cast<SubBackward0&>(*node.next_edge(0).function);
  const Edge &left = sub.next_edge(0), &right = sub.next_edge(1);
  check_same_shape("l1_loss", left, d.sizes());
  check_same_shape("l1_loss", right, d.sizes());
  const auto likelihood = std::make_shared<Laplace>(d);
  const bool plain = sub.alpha.toDouble() == 1 && left.is_valid() != right.is_valid();
  if (!plain) return {node.next_edge(0), likelihood, c};
  return {left.is_valid() ? left : right, likelihood, c};
}

// ---- exp(z) - y z ----

bool is_poisson(Node& node) {
  auto& sub = static_cast<SubBackward0&>(node);
  const auto* exp = dynamic_cast<ExpBackward0*>(node.next_edge(0).function.get());
  const auto* product = dynamic_cast<MulBackward0*>(node.next_edge(1).function.get());
  if (exp == nullptr || product == nullptr || sub.alpha.toDouble() != 1) return false;
  const Edge &left = product->next_edge(0), &right = product->next_edge(1);
  return left.is_valid() != right.is_valid() &&
         (left.is_valid() ? left : right) == exp->next_edge(0);
}

TermReading read_poisson(Node& node, const Tensor& c) {
  auto& exp = static_cast<ExpBackward0&>(*node.next_edge(0).function);
  check_same_shape("poisson_nll_loss", exp.next_edge(0), c.sizes());
  return {exp.next_edge(0), std::make_shared<Poisson>(saved(exp.result_, exp).log()), c};
}

// ---- The user's own ----

TermReading read_nll(Node& node, const Tensor& c) {
  auto& nll = static_cast<NegativeLogLikelihoodNode&>(node);
  check_unchanged(*nll.likelihood, nll.version);
  return {nll.outputs, nll.likelihood, nll.likelihood->align(c)};
}

struct Reader {
  std::type_index node;
  const char* loss;           // for messages
  bool (*recognises)(Node&);  // given a node of that type
  TermReading (*read)(Node&, const Tensor&);
};

/// One line a recognised node.
const std::vector<Reader>& readers() {
  static const std::vector<Reader> table = {
      {typeid(LogSoftmaxBackward0), "cross_entropy (or any linear function of log_softmax)", always,
       read_log_softmax},
      {typeid(LogBackward0), "nll_loss of log(softmax)", is_log_of_softmax, read_log_of_softmax},
      {typeid(BinaryCrossEntropyWithLogitsBackward0), "binary_cross_entropy_with_logits", always,
       read_binary_cross_entropy_with_logits},
      {typeid(BinaryCrossEntropyBackward0), "binary_cross_entropy of sigmoid", is_loss_of_sigmoid,
       read_binary_cross_entropy},
      {typeid(LogSigmoidBackward0), "multilabel_soft_margin_loss (log_sigmoid)", always,
       read_log_sigmoid},
      {typeid(MseLossBackward0), "mse_loss", always, read_mse},
      {typeid(HuberLossBackward0), "huber_loss", always, read_huber},
      {typeid(SmoothL1LossBackward0), "smooth_l1_loss", always, read_smooth_l1},
      {typeid(AbsBackward0), "l1_loss", is_absolute_difference, read_absolute_difference},
      {typeid(SubBackward0), "poisson_nll_loss (log_input)", is_poisson, read_poisson},
      {typeid(NegativeLogLikelihoodNode), "natgrad::nll(likelihood, y)", always, read_nll},
  };
  return table;
}

const Reader* reader_of(Node& node) {
  static const auto by_node = [] {
    std::unordered_map<std::type_index, const Reader*> map;
    for (const auto& reader : readers()) map[reader.node] = &reader;
    return map;
  }();
  const auto found = by_node.find(typeid(node));
  return found != by_node.end() && found->second->recognises(node) ? found->second : nullptr;
}

}  // namespace

bool is_likelihood_node(Node& node) { return reader_of(node) != nullptr; }

TermReading read_term(Node& node, const Tensor& coefficient) {
  torch::NoGradGuard no_grad;
  TermReading reading;
  with_graph_errors([&] { reading = reader_of(node)->read(node, coefficient.detach()); });
  return reading;
}

std::string readable_losses() {
  std::vector<std::string> losses;
  for (const auto& reader : readers()) losses.push_back(reader.loss);
  return fmt::format("{}", fmt::join(losses, ", "));
}

}  // namespace natgrad::detail
