#pragma once

#include "detail.h"

#include <natgrad/step_control/quadratic_model.h>

#include <utility>
#include <vector>

#include "optim/evaluator.h"

namespace natgrad::detail {

/// By products with C.
class ModelByProducts final : public QuadraticModel {
 public:
  ModelByProducts(const Evaluator& h, LinearOperator C) : h_(h), C_(std::move(C)) {}
  double slope(const torch::Tensor& v) const override;
  double curvature(const torch::Tensor& v) const override;

 private:
  const Evaluator& h_;
  LinearOperator C_;
};

/// By the rows of C = RᵀR + wI, with ∇h = -Rᵀt + wθ.
class ModelByRows final : public QuadraticModel {
 public:
  ModelByRows(const Evaluator& h, RowForm rows) : h_(h), rows_(std::move(rows)) {}
  /// Takes note of a product R v.
  void learn(const torch::Tensor& v, const torch::Tensor& product);
  double slope(const torch::Tensor& v) const override;
  double curvature(const torch::Tensor& v) const override;

 private:
  const torch::Tensor& product(const torch::Tensor& v) const;

  const Evaluator& h_;
  RowForm rows_;
  mutable std::vector<std::pair<torch::Tensor, torch::Tensor>> products_;  // v and R v
};

}  // namespace natgrad::detail
