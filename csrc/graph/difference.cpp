#include "graph/difference.h"

#include <natgrad/linalg/parameters.h>
#include <torch/torch.h>

#include "graph/unreadable.h"
#include "libtorch/edges.h"
#include "libtorch/nodes.h"
#include "libtorch/saved.h"
namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;
using torch::autograd::variable_list;

namespace {

/// The difference of two tensors of the network as a node of its own, above both.
struct DifferenceNode final : Node {
  variable_list apply(variable_list&& d) override { return {d[0], -d[0]}; }
  std::string name() const override { return "natgrad::difference"; }
};

Edge difference_of(Node& node, const Tensor& d) {
  auto difference = c10::make_intrusive<DifferenceNode>();
  difference->set_next_edges({node.next_edge(0), node.next_edge(1)});
  difference->add_input_metadata(d);
  return {difference, 0};
}

/// The shape of t before it was expanded, as far as its graph, or its strides, tell.
std::vector<int64_t> shape_as_given(const Edge& edge, const Tensor& t) {
  if (edge.is_valid() && op_of(*edge.function) == Op::Expand) {
    return shape_at(edge.function->next_edge(0)).vec();
  }
  std::vector<int64_t> shape;
  for (int64_t d = 0; d < t.dim(); ++d) {
    const bool is_repeated = t.stride(d) == 0 && t.size(d) > 1;
    if (!is_repeated) shape.push_back(t.size(d));
    if (is_repeated && !shape.empty()) shape.push_back(1);
  }
  return shape;
}

/// LibTorch's own gradient divides by the wrong count where the node broadcasts its arguments.
void check_shapes(Node& node, const DifferenceLoss& loss) {
  const auto &a = loss.self, &b = loss.target;
  NATGRAD_CHECK_READABLE(
      a.sizes() == b.sizes() && !(is_expanded(a) && is_expanded(b)), "natgrad: ", loss.name,
      " broadcast its arguments of shape ", at::IntArrayRef(shape_as_given(node.next_edge(0), a)),
      " and ", at::IntArrayRef(shape_as_given(node.next_edge(1), b)),
      ", so that every output is compared with several targets. Give them the same shape "
      "([N] and [N, 1] differ): use view_as or unsqueeze, or expand_as if it is meant. If "
      "both require a gradient and one is meant to be a constant, detach() it.");
}

Tensor weights_of(const Tensor& z, const Tensor& c, const DifferenceLoss& loss) {
  return (loss.factor * per_element(c, loss.reduction, z)).expand_as(z);
}

/// z = a - b: no tensor of the graph, so its loss is computed anew on a leaf.
TermReading read_both(Node& node, const Tensor& c, const DifferenceLoss& loss) {
  const torch::AutoGradMode enable_grad(true);
  const Tensor leaf = (loss.self - loss.target).detach().requires_grad_();
  const Tensor value = loss.loss(leaf, torch::zeros_like(leaf));
  const Tensor gradient = torch::autograd::grad({value}, {leaf}, {c}, /*retain_graph=*/true,
                                                /*create_graph=*/true)[0];
  return {difference_of(node, leaf), loss.likelihood(leaf.detach()), weights_of(leaf, c, loss),
          gradient, torch::autograd::impl::gradient_edge(leaf)};
}

}  // namespace

TermReading read_difference(Node& node, const Tensor& c, const DifferenceLoss& loss) {
  check_shapes(node, loss);
  const bool self = node.next_edge(0).is_valid(), target = node.next_edge(1).is_valid();
  if (self && target) return read_both(node, c, loss);
  const Tensor& z = self ? loss.self : loss.target;
  return {node.next_edge(self ? 0 : 1), loss.likelihood(z), weights_of(z, c, loss)};
}

}  // namespace natgrad::detail
