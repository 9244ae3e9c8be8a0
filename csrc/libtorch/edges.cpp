#include "libtorch/edges.h"

#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

namespace natgrad::detail {

using torch::autograd::Edge;
using torch::autograd::Node;

Edge result_of(Node& node, uint32_t i) {
  return {c10::intrusive_ptr<Node>::reclaim_copy(&node), i};
}

torch::IntArrayRef shape_at(const Edge& edge) {
  return C10_AS_INTARRAYREF_SLOW(
      edge.function->input_metadata(edge.input_nr).shape_as_dim_vector());
}

torch::TensorOptions options_at(const Edge& edge) {
  return edge.function->input_metadata(edge.input_nr).options();
}

torch::Tensor zeros_at(const Edge& edge) { return torch::zeros(shape_at(edge), options_at(edge)); }

Edge edge_of(const torch::Tensor& tensor) { return torch::autograd::impl::gradient_edge(tensor); }

Node& node_of(const torch::Tensor& tensor) { return *edge_of(tensor).function; }

bool is_lower(const Node& a, const Node& b) { return a.topological_nr() < b.topological_nr(); }

bool is_earlier(const Node& a, const Node& b) { return a.sequence_nr() < b.sequence_nr(); }

}  // namespace natgrad::detail
