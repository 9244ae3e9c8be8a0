#pragma once

// Explicit matrices, row by row from torch::autograd::grad on plain tensors. Slow, simple, and
// independent of the library.

#include <torch/types.h>

#include <functional>
#include <vector>

namespace natgrad::testing {

/// All elements of all tensors, [sum of numel].
torch::Tensor flat(const std::vector<torch::Tensor>& tensors);

/// ∂y/∂x flat, one row for each element of y; zero where y does not depend on x. Keeps the graph.
torch::Tensor jacobian(const torch::Tensor& y, const std::vector<torch::Tensor>& x);

/// ∂h/∂x, flat, of a scalar h. Keeps the graph.
torch::Tensor gradient_of(const torch::Tensor& h, const std::vector<torch::Tensor>& x);

/// ∂²h/∂x², of a scalar h. Keeps the graph.
torch::Tensor hessian(const torch::Tensor& h, const std::vector<torch::Tensor>& x);

/// The Hessian in δ at 0 of h(z + J δ): of the loss of the model linearised in its parameters
/// (Martens, section 3). z: any tensor with the graph of the network.
torch::Tensor hessian_of_linearised_model(
    const torch::Tensor& z, const std::vector<torch::Tensor>& parameters,
    const std::function<torch::Tensor(const torch::Tensor& z)>& loss);

/// The matrix of a linear map on [columns], one product a column.
torch::Tensor matrix_of(const std::function<torch::Tensor(const torch::Tensor&)>& map,
                        int64_t columns);

/// The block-diagonal matrix of these.
torch::Tensor block_diagonal(const std::vector<torch::Tensor>& blocks);

}  // namespace natgrad::testing
