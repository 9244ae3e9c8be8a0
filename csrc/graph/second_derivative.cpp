#include "graph/second_derivative.h"
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/census.h"
#include "graph/linearization.h"
#include "libtorch/kinks.h"

#include <unordered_set>

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Node;

namespace {

/// The nodes below `roots` that are none of the given ones.
std::vector<Node*> made_above(const Census& given, const torch::autograd::edge_list& roots) {
  const std::unordered_set<const Node*> old(given.nodes.begin(), given.nodes.end());
  auto nodes = Census(roots).nodes;
  std::erase_if(nodes, [&](Node* node) { return old.contains(node); });
  return nodes;
}

}  // namespace

SecondDerivative::SecondDerivative(const torch::autograd::edge_list& tensors,
                                   const std::vector<Tensor>& coefficients,
                                   ParameterLayout parameters)
    : parameters_(std::move(parameters)), parameter_edges_(edges_of(parameters_.tensors())) {
  const auto gradient = backward(tensors, coefficients, parameter_edges_, Pass::Differentiable);
  for (size_t i = 0; i < gradient.size(); ++i) {
    if (!gradient[i].defined() || !gradient[i].requires_grad()) continue;
    gradient_.push_back(torch::autograd::impl::gradient_edge(gradient[i]));
    reached_.push_back(i);
  }
  const Census differentiated(tensors);
  bool has_kink = false;
  with_graph_errors([&] { has_kink = has_norm_at_zero(differentiated.nodes); });
  if (has_kink) flatten_kinks(made_above(differentiated, gradient_));
}

Tensor SecondDerivative::multiply(const Tensor& v) const {
  const auto pieces = parameters_.views(v);
  std::vector<Tensor> cotangents;
  for (size_t k = 0; k < gradient_.size(); ++k) {
    cotangents.push_back(pieces[reached_[k]].to(options_at(gradient_[k]).dtype()));
  }
  torch::NoGradGuard no_grad;
  return parameters_.flatten(backward(gradient_, cotangents, parameter_edges_));
}

}  // namespace natgrad::detail
