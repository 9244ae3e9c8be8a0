#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

namespace natgrad::detail {

/// Gradients on their way into a graph, each with the examples in dimension 0.
struct OutputGradients {
  torch::autograd::edge_list edges;
  std::vector<torch::Tensor> values;
};

/// Several of them, of the same examples: each is pulled back on its own.
using GradientSlots = std::vector<OutputGradients>;

/// ∂h/∂z of a loss that can be read, for every output. Throws `c10::Error` if an output's dimension
/// 0 does not hold the examples.
OutputGradients output_gradients(const LossGraph& graph);
/// The same of any u of the outputs' shapes; an undefined one counts as zero.
OutputGradients output_gradients(const LossGraph& graph, const std::vector<torch::Tensor>& u);

/// What arrives at `inputs`; undefined where nothing does.
std::vector<torch::Tensor> pull_back(const OutputGradients& u,
                                     const torch::autograd::edge_list& inputs);

}  // namespace natgrad::detail
