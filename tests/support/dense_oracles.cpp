#include "support/dense_oracles.h"

#include "support/oracles.h"

namespace natgrad::testing {
namespace {

/// ∂(y·cotangent)/∂x, flat; zeros where y does not depend on x.
Tensor pull_back(const Tensor& y, const std::vector<Tensor>& x, const Tensor& cotangent,
                 bool create_graph) {
  std::vector<Tensor> pieces(x.size());
  if (y.requires_grad()) {
    pieces = torch::autograd::grad({y}, x, {cotangent}, /*retain_graph=*/true, create_graph,
                                   /*allow_unused=*/true);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (!pieces[i].defined()) pieces[i] = torch::zeros_like(x[i]);
  }
  return flat(pieces);
}

}  // namespace

Tensor flat(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> pieces;
  for (const auto& t : tensors) pieces.push_back(t.reshape(-1));
  return torch::cat(pieces);
}

Tensor jacobian(const Tensor& y, const std::vector<Tensor>& x) {
  const auto basis = torch::eye(y.numel(), y.options().requires_grad(false));
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < y.numel(); ++i) {
    rows.push_back(pull_back(y, x, basis[i].view(y.sizes()), false));
  }
  return torch::stack(rows).detach();
}

Tensor gradient_of(const Tensor& h, const std::vector<Tensor>& x) {
  return pull_back(h, x, torch::ones_like(h), false).detach();
}

Tensor hessian(const Tensor& h, const std::vector<Tensor>& x) {
  return jacobian(pull_back(h, x, torch::ones_like(h), true), x);
}

Tensor hessian_of_linearised_model(const Tensor& z, const std::vector<Tensor>& parameters,
                                   const std::function<Tensor(const Tensor& z)>& loss) {
  const auto j = jacobian(z, parameters);
  const auto delta = torch::zeros({j.size(1)}, j.options()).requires_grad_();
  return hessian(loss(z.detach() + j.mv(delta).view(z.sizes())), {delta});
}

Tensor matrix_of(const std::function<Tensor(const Tensor&)>& map, int64_t columns) {
  const auto basis = torch::eye(columns, torch::kDouble);
  std::vector<Tensor> images;
  for (int64_t i = 0; i < columns; ++i) images.push_back(map(basis[i]).reshape(-1));
  return torch::stack(images, 1);
}

Tensor block_diagonal(const std::vector<Tensor>& blocks) { return torch::block_diag(blocks); }

}  // namespace natgrad::testing
