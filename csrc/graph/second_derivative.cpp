#include "graph/second_derivative.h"
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/census.h"
#include "graph/linearization.h"
#include "libtorch/kinks.h"
#include "linalg/norm.h"

#include <cmath>
#include <functional>
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

/// ∇ is linear in the coefficients c, so that ∂(∇·v)/∂c · c = ∇·v, at v = ∇ too, unless the
/// backward of some op detaches or computes on raw data: what it leaves out of this it leaves out
/// of the second derivative. Where ∇ is next to nothing, at a minimum, it is the rounding of what
/// cancels in it, of size ε times what `cancelled` answers. Answers why that is so, or nothing.
std::string fault_of(const torch::autograd::edge_list& tensors, const std::vector<Tensor>& c,
                     const std::vector<Tensor>& gradient, Marks marks,
                     const std::function<double()>& cancelled) {
  torch::autograd::edge_list roots;
  std::vector<Tensor> v;
  double expected = 0, found = 0;
  for (const auto& g : gradient) {
    if (!g.defined()) continue;
    expected += g.detach().square().sum(torch::kDouble).item<double>();
    if (!g.requires_grad()) continue;
    roots.push_back(torch::autograd::impl::gradient_edge(g));
    v.push_back(g.detach());
  }
  const auto slopes = backward(roots, v, edges_of(c), Pass::Plain, marks);
  for (size_t k = 0; k < c.size(); ++k) {
    if (slopes[k].defined()) {
      found += (slopes[k] * c[k]).detach().sum(torch::kDouble).item<double>();
    }
  }
  const double rounding = Census(tensors).rounding, mismatch = std::abs(found - expected);
  // A number that is none is no mismatch: the solver finds and reports it.
  if (!std::isfinite(mismatch) || mismatch <= rounding * expected) return "";
  if (mismatch <= rounding * std::sqrt(expected) * cancelled()) return "";
  const auto op = find_undifferentiable_op(tensors);
  return "natgrad: the gradient cannot be differentiated: the backward of " +
         (op.empty() ? "some op of the loss" : op) +
         " detaches, or computes on raw data, and the Hessian would be wrong without a word. Write "
         "that backward with differentiable torch operations on the tensors that ctx saves.";
}

std::vector<Tensor> leaves_of(const std::vector<Tensor>& values) {
  std::vector<Tensor> leaves;
  for (const auto& value : values) leaves.push_back(value.detach().clone().requires_grad_());
  return leaves;
}

}  // namespace

void check_slopes_are_differentiable(const torch::autograd::Edge& tensor,
                                     const torch::autograd::edge_list& inputs) {
  const torch::AutoGradMode enable_grad(true);
  const auto c = leaves_of({torch::ones(shape_at(tensor), options_at(tensor))});
  const auto slopes = backward({tensor}, c, inputs, Pass::Differentiable, Marks::Hold);
  const auto fault = fault_of({tensor}, c, slopes, Marks::Hold, [] { return 0.; });
  TORCH_CHECK_NOT_IMPLEMENTED(fault.empty(), fault);
}

SecondDerivative::SecondDerivative(const torch::autograd::edge_list& tensors,
                                   const std::vector<Tensor>& coefficients,
                                   ParameterLayout parameters)
    : parameters_(std::move(parameters)), parameter_edges_(edges_of(parameters_.tensors())) {
  const torch::AutoGradMode enable_grad(true);
  const auto c = leaves_of(coefficients);
  const auto gradient = backward(tensors, c, parameter_edges_, Pass::Differentiable);
  for (size_t i = 0; i < gradient.size(); ++i) {
    if (!gradient[i].defined() || !gradient[i].requires_grad()) continue;
    gradient_.push_back(torch::autograd::impl::gradient_edge(gradient[i]));
    reached_.push_back(i);
  }
  // No less than what the rounding of θ makes of ∇, ε‖∇²h θ‖.
  const auto fault = fault_of(tensors, c, gradient, Marks::Pass,
                              [&] { return norm_in_double(multiply(parameters_.values())); });
  TORCH_CHECK(fault.empty(), fault);
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
