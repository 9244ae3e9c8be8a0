#include "graph/coefficients.h"

#include <natgrad/linalg/random.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>

#include "graph/backward.h"
#include "graph/mark_nodes.h"
#include "graph/term_readers.h"
#include "graph/unreadable.h"
#include "graph/walk.h"
#include "libtorch/ways_out.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::edge_list;

Coefficients coefficients_of(const Tensor& loss, const LossParts& parts, Pass pass) {
  const auto& nodes = parts.edges;
  const auto root = torch::autograd::impl::gradient_edge(loss);
  auto received = backward({root}, {torch::ones_like(loss)}, nodes, pass, Marks::Hold);
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (!received[k].defined()) received[k] = zeros_at(nodes[k]);
  }
  auto own = received;
  for (size_t k = 0; k + 1 < nodes.size(); ++k) {
    if (outputs_mark(nodes[k])) continue;
    auto lower = nodes;
    const auto below = reached_from(nodes[k], nodes);
    for (size_t j = 0; j < nodes.size(); ++j) {
      if (j <= k || !below[j]) lower[j] = Edge();
    }
    const auto sent = backward({nodes[k]}, {own[k].detach()}, lower, pass, Marks::Hold);
    for (size_t j = k + 1; j < nodes.size(); ++j) {
      if (sent[j].defined()) own[j] = own[j] - sent[j];
    }
  }
  return {received, own};
}

namespace {

// A derivative that should vanish does so exactly, unless nested terms make it the difference of
// two equal numbers: then to the rounding of float32, relative to them.
constexpr double kSubtraction = 1e-4;

/// ∂(probe · the coefficients of the parts of that kind)/∂(each part).
std::vector<Tensor> derivatives_of(const std::vector<Tensor>& coefficients,
                                   const std::vector<Tensor>& probes, const LossParts& parts,
                                   PartKind kind) {
  edge_list roots;
  std::vector<Tensor> cotangents;
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    if (parts.kinds[k] != kind || !coefficients[k].requires_grad()) continue;
    roots.push_back(torch::autograd::impl::gradient_edge(coefficients[k]));
    cotangents.push_back(probes[k]);
  }
  return backward(roots, cotangents, parts.edges, Pass::Plain, Marks::Hold);
}

double largest_entry(const Tensor& t) {
  return t.defined() && t.numel() > 0 ? t.abs().max().item<double>() : 0;
}

void reject_nonlinear(const torch::autograd::Node& node) {
  NATGRAD_CHECK_READABLE(
      false, "natgrad: the loss is not linear in its part at ", node.name(),
      " (as in a focal loss, the logarithm of a loss, or a product of losses), so its curvature is "
      "not that of the likelihood there. ",
      way_out_of(op_of(node)));
}

/// Whether that a coefficient of `kind` depends on such a part makes the loss nonlinear in it: a
/// learned weight may be a factor of a term.
bool excludes(PartKind kind, PartKind other) {
  const bool is_penalty = kind == PartKind::Penalty;
  return other == PartKind::Outputs || is_penalty == (other == PartKind::Penalty);
}

void add_nonlinear(std::vector<bool>& nonlinear, const LossParts& parts,
                   const Coefficients& coefficients, const std::vector<Tensor>& probes,
                   PartKind kind) {
  const auto derivatives = derivatives_of(coefficients.own, probes, parts, kind);
  if (std::none_of(derivatives.begin(), derivatives.end(),
                   [](const Tensor& d) { return largest_entry(d) > 0; })) {
    return;
  }
  bool nested = false;
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    nested = nested || !coefficients.own[k].is_same(coefficients.received[k]);
  }
  const auto before_subtraction = derivatives_of(coefficients.received, probes, parts, kind);
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    const double rounding = nested ? kSubtraction * largest_entry(before_subtraction[k]) : 0;
    const bool depends = largest_entry(derivatives[k]) > rounding;
    if (depends && excludes(kind, parts.kinds[k])) nonlinear[k] = true;
  }
}

}  // namespace

std::vector<size_t> nonlinear_parts(const LossParts& parts, const Coefficients& coefficients,
                                    at::Generator generator) {
  const auto depends = [](const Tensor& c) { return c.requires_grad(); };
  if (std::none_of(coefficients.own.begin(), coefficients.own.end(), depends)) return {};
  std::vector<Tensor> probes;
  for (const auto& c : coefficients.own) {
    probes.push_back(random_normal(c.sizes(), c.options(), generator));
  }
  std::vector<bool> nonlinear(parts.edges.size());
  for (const auto kind : {PartKind::Term, PartKind::Linear, PartKind::Penalty}) {
    add_nonlinear(nonlinear, parts, coefficients, probes, kind);
  }
  std::vector<size_t> found;
  for (size_t k = 0; k < nonlinear.size(); ++k) {
    if (nonlinear[k]) found.push_back(k);
  }
  return found;
}

void check_linearity(const LossParts& parts, const Coefficients& coefficients,
                     at::Generator generator) {
  const auto found = nonlinear_parts(parts, coefficients, std::move(generator));
  if (found.empty()) return;
  const auto node_of_part = [&](size_t k) -> auto& { return *parts.edges[k].function; };
  // A square or an exponential may mean anything; a loss of LibTorch tells more.
  const auto telling = std::find_if(found.begin(), found.end(), [&](size_t k) {
    return parts.kinds[k] == PartKind::Term && !is_hand_written(node_of_part(k));
  });
  reject_nonlinear(node_of_part(telling == found.end() ? found.front() : *telling));
}

}  // namespace natgrad::detail
