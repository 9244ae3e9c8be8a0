#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <vector>

namespace natgrad::detail {

/// One run of LibTorch's autograd engine from `roots` to `inputs`, all of them valid edges; keeps
/// the graph, leaves `.grad` alone, and brings undefined tensors where nothing arrives. Nodes that
/// are not on a way from root to input do not run.
std::vector<torch::Tensor> run_engine(const torch::autograd::edge_list& roots,
                                      const std::vector<torch::Tensor>& cotangents,
                                      const torch::autograd::edge_list& inputs,
                                      bool is_differentiable);

}  // namespace natgrad::detail
