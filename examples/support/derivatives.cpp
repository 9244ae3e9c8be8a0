#include "support/derivatives.h"

#include <torch/torch.h>

namespace examples {

using torch::Tensor;

Tensor pull_back(const Tensor& z, const Tensor& u, const std::vector<Tensor>& parameters,
                 bool create_graph) {
  const auto parts = torch::autograd::grad({z}, parameters, {u}, /*retain_graph=*/true,
                                           create_graph, /*allow_unused=*/true);
  std::vector<Tensor> flat;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i].defined() ? parts[i] : torch::zeros_like(parameters[i]);
    flat.push_back(part.flatten());
  }
  return torch::cat(flat);
}

Tensor gradient_of(const Tensor& number, const std::vector<Tensor>& parameters, bool create_graph) {
  return pull_back(number, torch::ones_like(number), parameters, create_graph);
}

Tensor hessian_of(const Tensor& number, const std::vector<Tensor>& parameters) {
  const auto gradient = gradient_of(number, parameters, true);
  if (!gradient.requires_grad())
    return torch::zeros({gradient.numel(), gradient.numel()}, number.options());
  return jacobian_of(gradient, parameters);
}

Tensor jacobian_of(const Tensor& z, const std::vector<Tensor>& parameters) {
  std::vector<Tensor> rows;
  for (const auto& unit : torch::eye(z.numel(), z.options()).unbind()) {
    rows.push_back(pull_back(z, unit.view_as(z), parameters));
  }
  return torch::stack(rows);
}

Tensor score_products(const Tensor& log_r, const Tensor& weight,
                      const std::vector<Tensor>& parameters) {
  const auto scores = jacobian_of(log_r, parameters);
  return scores.t().matmul(weight.unsqueeze(1) * scores);
}

}  // namespace examples
