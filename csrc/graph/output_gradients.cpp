#include "graph/output_gradients.h"
#include <natgrad/graph/loss_graph.h>
#include "graph/loss_graph_state.h"

#include <torch/torch.h>
#include "graph/backward.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

void check_outputs(const LossGraph& graph) {
  const auto examples = graph.examples();
  for (const auto& output : output_edges(graph)) {
    const auto shape = shape_at(output);
    TORCH_CHECK(!shape.empty() && shape[0] == examples,
                "natgrad: per-example gradients need the examples in dimension 0 of every output "
                "of the network, but one is of shape ",
                shape, " and another has ", examples,
                " rows. Give all outputs of the loss the same dimension 0 (an output that all "
                "examples share: z.expand), and reshape them only above natgrad::outputs(z).");
  }
  for (const auto& term : graph.terms()) {
    TORCH_CHECK(
        !term.likelihood || term.likelihood->example_dim() == 0,
        "natgrad: per-example gradients need the examples in dimension 0, but that of z in ",
        term.likelihood->describe(), " of shape ", shape_at(output_edges(graph)[term.output]),
        " belongs to one observation. Transpose z, or unsqueeze(0) a single example.");
  }
}

}  // namespace

OutputGradients output_gradients(const LossGraph& graph) {
  return output_gradients(graph, sum_by_output(graph, [](const LossTerm& term) {
                            return term.gradient.defined() ? term.gradient.detach() : Tensor();
                          }));
}

OutputGradients output_gradients(const LossGraph& graph, const std::vector<Tensor>& u) {
  check_outputs(graph);
  OutputGradients result{output_edges(graph), {}};
  for (size_t k = 0; k < result.edges.size(); ++k) {
    const auto zeros = zeros_at(result.edges[k]);
    result.values.push_back(u[k].defined() ? u[k].to(zeros.dtype()).expand_as(zeros) : zeros);
  }
  return result;
}

std::vector<Tensor> pull_back(const OutputGradients& u, const torch::autograd::edge_list& inputs) {
  return backward(u.edges, u.values, inputs);
}

}  // namespace natgrad::detail
