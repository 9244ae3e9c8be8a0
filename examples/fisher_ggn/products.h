#pragma once

#include "fisher_ggn/family.h"

namespace examples {

/// Routes (c) and (d) by products alone, for networks of any size: plain autograd, which knows
/// nothing of natgrad's. `z`: the outputs, [N, K], on a graph down to the weights.
class ProductRoutes {
 public:
  ProductRoutes(const Family& family, torch::Tensor z, std::vector<torch::Tensor> parameters);

  /// (c) (1/N) Σₙ Jₙᵀ E_y[s sᵀ] Jₙ v, s = ∇_z log r(y|zₙ) by autograd for each y, with Jₙ v by
  /// differentiating Jᵀu in u.
  torch::Tensor expected_score_products(const torch::Tensor& v) const;
  /// (d) The Hessian of -(1/N) Σₙ E_y[log r(y|zₙ)], y and their chances constants, times v, by
  /// double backward through the whole network.
  torch::Tensor minus_expected_hessian(const torch::Tensor& v) const;

 private:
  const Family& family_;
  torch::Tensor z_;
  std::vector<torch::Tensor> parameters_;
};

}  // namespace examples
