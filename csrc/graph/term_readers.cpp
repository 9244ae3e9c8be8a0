#include <natgrad/graph/backward.h>
#include <natgrad/graph/marks.h>
#include <natgrad/graph/term_readers.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/torch.h>

#include <algorithm>
#include <typeindex>
#include <unordered_map>

namespace natgrad {
namespace {

using torch::Tensor;
using torch::autograd::Node;
using namespace torch::autograd::generated;  // NOLINT: the names of LibTorch's own nodes

Tensor unpack(const torch::autograd::SavedVariable& saved, Node& node) {
  const Tensor t = saved.unpack(c10::intrusive_ptr<Node>::reclaim_copy(&node));
  return t.defined() ? t.detach() : t;
}

/// ∂loss/∂(one element), for a node that sums elements or averages them.
Tensor per_element(const Tensor& coefficient, int64_t reduction, const Tensor& elements) {
  return reduction == at::Reduction::Mean ? coefficient / elements.numel() : coefficient;
}

TermReading read_log_softmax(Node& node, const Tensor& c) {
  auto& log_softmax = static_cast<LogSoftmaxBackward0&>(node);
  const Tensor log_p = unpack(log_softmax.result_, node);  // logits, up to a constant
  const int64_t dim = log_softmax.dim;
  return {node.next_edge(0), std::make_shared<Categorical>(log_p, dim),
          -c.sum(dim, /*keepdim=*/true)};
}

TermReading read_binary_cross_entropy(Node& node, const Tensor& c) {
  auto& bce = static_cast<BinaryCrossEntropyWithLogitsBackward0&>(node);
  TORCH_CHECK(!node.next_edge(1).is_valid(),
              "natgrad: the targets of binary_cross_entropy_with_logits require a gradient; "
              "detach() them, or "
              "mark the network's outputs with natgrad::outputs(z).");
  const Tensor z = unpack(bce.self_, node), y = unpack(bce.target_, node);
  Tensor s = per_element(c, bce.reduction, z).expand_as(z);
  if (const Tensor weight = unpack(bce.weight_, node); weight.defined()) s = s * weight;
  if (const Tensor w = unpack(bce.pos_weight_, node); w.defined()) s = s * (1 + (w - 1) * y);
  return {node.next_edge(0), std::make_shared<Bernoulli>(z), s};
}

/// Whether every element of `t` along some dimension is one and the same.
bool is_broadcast(const Tensor& t) {
  for (int64_t d = 0; d < t.dim(); ++d) {
    if (t.size(d) > 1 && t.stride(d) == 0) return true;
  }
  return false;
}

TermReading read_mse(Node& node, const Tensor& c) {
  auto& mse = static_cast<MseLossBackward0&>(node);
  const Tensor a = unpack(mse.self_, node), b = unpack(mse.target_, node);
  const auto pairs = c10::multiply_integers(at::infer_size(a.sizes(), b.sizes()));
  TORCH_CHECK(
      !(is_broadcast(a) && is_broadcast(b)) && pairs <= std::max(a.numel(), b.numel()),
      "natgrad: mse_loss broadcast both its arguments, to ", a.sizes(),
      ", so that every output is compared with every target. Give them the same shape ([N] and "
      "[N, 1] differ): use view_as or unsqueeze.");
  const bool input = node.next_edge(0).is_valid(), target = node.next_edge(1).is_valid();
  TORCH_CHECK(
      input != target,
      "natgrad: both arguments of mse_loss require a gradient. If the target is meant to be a "
      "constant, detach() it; else write mse_loss(z - y, zeros) on the difference.");
  const Tensor& z = input ? a : b;
  return {node.next_edge(input ? 0 : 1), std::make_shared<Gaussian>(z),
          (2 * per_element(c, mse.reduction, z)).expand_as(z)};
}

TermReading read_nll(Node& node, const Tensor& c) {
  auto& nll = static_cast<NegativeLogLikelihoodNode&>(node);
  return {nll.outputs, nll.likelihood, nll.likelihood->align(c)};
}

using Reader = TermReading (*)(Node&, const Tensor&);

/// One line a recognised node.
const std::unordered_map<std::type_index, Reader>& readers() {
  static const std::unordered_map<std::type_index, Reader> table = {
      {typeid(LogSoftmaxBackward0), read_log_softmax},
      {typeid(BinaryCrossEntropyWithLogitsBackward0), read_binary_cross_entropy},
      {typeid(MseLossBackward0), read_mse},
      {typeid(NegativeLogLikelihoodNode), read_nll},
  };
  return table;
}

}  // namespace

bool is_likelihood_node(const Node& node) { return readers().contains(typeid(node)); }

TermReading read_term(Node& node, const Tensor& coefficient) {
  torch::NoGradGuard no_grad;
  TermReading reading;
  with_graph_errors([&] { reading = readers().at(typeid(node))(node, coefficient.detach()); });
  return reading;
}

std::string readable_losses() {
  return "cross_entropy (or any linear function of log_softmax), binary_cross_entropy_with_logits, "
         "mse_loss, "
         "natgrad::nll(likelihood, y)";
}

}  // namespace natgrad
