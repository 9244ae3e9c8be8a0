#include "fisher_ggn/products.h"

#include <torch/torch.h>

#include "fisher_ggn/routes.h"
#include "support/derivatives.h"

namespace examples {

using torch::Tensor;

ProductRoutes::ProductRoutes(const Family& family, Tensor z, std::vector<Tensor> parameters)
    : family_(family), z_(std::move(z)), parameters_(std::move(parameters)) {}

Tensor ProductRoutes::expected_score_products(const Tensor& v) const {
  const auto u = torch::randn_like(z_).detach().requires_grad_();
  const auto jacobian_transposed_u = pull_back(z_, u, parameters_, true);
  const auto jv = torch::autograd::grad({jacobian_transposed_u.dot(v)}, {u})[0];

  const auto leaf = z_.detach().requires_grad_();
  const auto outcomes = outcomes_of(family_, leaf);
  auto expected = torch::zeros_like(leaf).detach();
  const auto n = leaf.size(0);
  for (int64_t k = 0; k < outcomes.count; ++k) {
    const auto log_r = family_.log_r(leaf, outcomes.y.narrow(0, k * n, n));
    const auto score = torch::autograd::grad({log_r.sum()}, {leaf})[0];
    const auto along = (score * jv).sum(1) * outcomes.weight.narrow(0, k * n, n);
    expected += along.unsqueeze(1) * score;
  }
  return pull_back(z_, expected / n, parameters_);
}

Tensor ProductRoutes::minus_expected_hessian(const Tensor& v) const {
  const auto outcomes = outcomes_of(family_, z_);
  const auto log_r = log_r_of(family_, z_, outcomes);
  const auto expected_loss = -(outcomes.weight * log_r).sum() / z_.size(0);
  return gradient_of(gradient_of(expected_loss, parameters_, true).dot(v), parameters_);
}

}  // namespace examples
