#include <natgrad/graph/loss_graph.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/hidden_state_nodes.h"
#include "graph/loss_graph_state.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "graph/depth_first.h"
#include "libtorch/saved.h"

namespace natgrad {

using torch::Tensor;
using torch::autograd::Node;
using torch::autograd::variable_list;

variable_list detail::HiddenStateNode::apply(variable_list&& gradients) {
  return std::move(gradients);
}

Tensor hidden(const Tensor& h, HiddenDistance distance) {
  TORCH_CHECK(h.defined() && h.dim() > 0,
              "natgrad: a hidden state is a tensor [N, ...] whose dimension 0 is the examples, but "
              "natgrad::hidden got ",
              h.defined() ? "a single number" : "an undefined tensor", ".");
  if (!torch::GradMode::is_enabled() || !h.requires_grad()) return h;
  auto node = c10::make_intrusive<HiddenStateNode>();
  node->distance = distance;
  node->set_next_edges({torch::autograd::impl::gradient_edge(h)});
  Tensor marked = h.detach();
  torch::autograd::set_history(marked, node);
  if (distance != HiddenDistance::Squared) {
    node->h = torch::autograd::SavedVariable(marked, /*is_output=*/true);
  }
  return marked;
}

namespace {

/// 1/H_D of a cross-entropy, without the bound.
Tensor variance_of_units(const Tensor& h, HiddenDistance distance) {
  return distance == HiddenDistance::LogisticCrossEntropy ? h * (1 - h) : (1 - h) * (1 + h);
}

void check_range(const Tensor& variance, const Tensor& h, HiddenDistance distance) {
  if (!variance.lt(0).any().item<bool>()) return;
  const bool logistic = distance == HiddenDistance::LogisticCrossEntropy;
  TORCH_CHECK(false, "natgrad: a hidden state marked with ",
              logistic ? "LogisticCrossEntropy lies in [0, 1]" : "TanhCrossEntropy lies in [-1, 1]",
              ", but one of shape ", h.sizes(), " goes from ", h.min().item<double>(), " to ",
              h.max().item<double>(), ". Mark other units with natgrad::HiddenDistance::Squared.");
}

/// In float32 at least: lower precision cannot hold 1/ε.
Tensor distance_hessian(HiddenStateNode& node) {
  if (node.distance == HiddenDistance::Squared) return {};
  auto h = saved(node.h, node);
  const bool is_double = h.scalar_type() == torch::kDouble;
  if (!is_double) h = h.to(torch::kFloat);
  const auto variance = variance_of_units(h, node.distance);
  check_range(variance, h, node.distance);
  return variance
      .clamp_min(is_double ? std::numeric_limits<double>::epsilon()
                           : std::numeric_limits<float>::epsilon())
      .reciprocal();
}

}  // namespace

std::vector<HiddenState> detail::hidden_states(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  std::vector<HiddenState> states;
  with_graph_errors([&] {
    for (Node* node : loss_census(graph).nodes) {
      auto* mark = dynamic_cast<HiddenStateNode*>(node);
      if (!mark) continue;
      states.push_back({result_of(*mark), distance_hessian(*mark)});
    }
  });
  std::stable_sort(states.begin(), states.end(), [](const auto& a, const auto& b) {
    return is_earlier(*a.edge.function, *b.edge.function);
  });
  return states;
}

}  // namespace natgrad
