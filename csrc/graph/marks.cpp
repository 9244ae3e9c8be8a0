#include <natgrad/graph/marks.h>

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/mark_nodes.h"
#include "graph/unreadable.h"
#include "libtorch/own_run.h"

namespace natgrad {
namespace detail {

using torch::autograd::variable_list;

variable_list NegativeLogLikelihoodNode::apply(variable_list&& gradients) {
  return std::move(gradients);
}

variable_list OutputsNode::apply(variable_list&& gradients) {
  return is_held_at_marks() ? variable_list(1) : std::move(gradients);
}

variable_list PenaltyNode::apply(variable_list&& gradients) { return std::move(gradients); }

void check_unchanged(const Likelihood& likelihood, uint32_t version) {
  NATGRAD_CHECK_READABLE(
      likelihood.outputs()._version() == version, "natgrad: the outputs of ", likelihood.describe(),
      " were changed in place after they were given to it (as by masked_fill_ or div_). "
      "Change them before, or use masked_fill, div, ...");
}

}  // namespace detail

using torch::Tensor;

namespace {

bool has_graph(const Tensor& t) { return torch::GradMode::is_enabled() && t.requires_grad(); }

/// `t` with `node` on top of its graph.
Tensor put_on_top(const Tensor& t, const c10::intrusive_ptr<torch::autograd::Node>& node) {
  node->set_next_edges({torch::autograd::impl::gradient_edge(t)});
  Tensor marked = t.detach();
  torch::autograd::set_history(marked, node);
  return marked;
}

}  // namespace

Tensor nll(std::shared_ptr<const Likelihood> likelihood, const Tensor& y,
           at::Reduction::Reduction reduction) {
  TORCH_CHECK(likelihood != nullptr, "natgrad: nll needs a likelihood, but got null.");
  const Tensor& z = likelihood->outputs();
  Tensor losses = -likelihood->log_prob(y);
  if (has_graph(z)) {
    auto node = c10::make_intrusive<NegativeLogLikelihoodNode>();
    node->outputs = torch::autograd::impl::gradient_edge(z);
    node->likelihood = likelihood;
    node->version = z._version();
    losses = put_on_top(losses, node);
  }
  if (reduction == at::Reduction::None) return losses;
  if (reduction == at::Reduction::Sum) return losses.sum();
  return losses.sum() / likelihood->examples();
}

Tensor outputs(const Tensor& z) {
  return has_graph(z) ? put_on_top(z, c10::make_intrusive<OutputsNode>()) : z;
}

Tensor outputs(std::shared_ptr<const Likelihood> distribution) {
  TORCH_CHECK(distribution != nullptr, "natgrad: outputs needs a distribution, but got null.");
  const Tensor& z = distribution->outputs();
  if (!has_graph(z)) return z;
  auto node = c10::make_intrusive<OutputsNode>();
  node->version = z._version();
  node->distribution = distribution;
  return put_on_top(z, node);
}

Tensor penalty(const Tensor& R) {
  return has_graph(R) ? put_on_top(R, c10::make_intrusive<PenaltyNode>()) : R;
}

}  // namespace natgrad
