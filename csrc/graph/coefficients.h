#pragma once

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <vector>

#include "detail.h"
#include "graph/backward.h"

namespace natgrad::detail {

/// cₖ = ∂loss/∂(output of the node of part k), differentiable.
struct Coefficients {
  std::vector<torch::Tensor> received;  ///< as the engine brings them
  std::vector<torch::Tensor> own;  ///< without what other terms send down through their networks
};

/// `nodes`: the edges of terms and penalties, upper ones first. A term that lies below others gets,
/// besides its own, what they send it: that is subtracted. By a plain pass they are not
/// differentiable.
Coefficients coefficients_of(const torch::Tensor& loss, const torch::autograd::edge_list& nodes,
                             Pass pass = Pass::Differentiable);

/// Throws `UnreadableLoss` if the coefficients of likelihood terms and penalties depend on any
/// term's output: by the derivative of one random combination.
void check_linearity(const torch::autograd::edge_list& nodes, const Coefficients& coefficients,
                     at::Generator generator);

}  // namespace natgrad::detail
