#pragma once

#include <torch/types.h>

#include <vector>

/// Derivatives by plain autograd: nothing of natgrad's.
namespace examples {

/// ∇_θ of a number, [P].
torch::Tensor gradient_of(const torch::Tensor& number, const std::vector<torch::Tensor>& parameters,
                          bool create_graph = false);

/// Jᵀu, J = ∂z/∂θ, [P]; zeros for a parameter that z does not depend on.
torch::Tensor pull_back(const torch::Tensor& z, const torch::Tensor& u,
                        const std::vector<torch::Tensor>& parameters, bool create_graph = false);

/// ∇²_θ of a number, [P, P], a row at a time.
torch::Tensor hessian_of(const torch::Tensor& number, const std::vector<torch::Tensor>& parameters);

/// ∂z/∂θ, [numel(z), P], a row at a time.
torch::Tensor jacobian_of(const torch::Tensor& z, const std::vector<torch::Tensor>& parameters);

/// Σᵢ weightᵢ ∇log_rᵢ ∇log_rᵢᵀ, [P, P], of numbers [n] each: one backward pass for each.
torch::Tensor score_products(const torch::Tensor& log_r, const torch::Tensor& weight,
                             const std::vector<torch::Tensor>& parameters);

}  // namespace examples
