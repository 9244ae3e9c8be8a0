#include "curvature/targeted_rows.h"

#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <utility>

#include "libtorch/plain_arithmetic.h"

namespace natgrad::detail {

using torch::Tensor;

TargetedRows::TargetedRows(const RowSeed& seed, CapturedRows rows)
    : weights_(seed.weights),
      targets_(seed.targets),
      rows_of_example_(static_cast<double>(seed.targets.numel()) / seed.examples),
      rows_(std::move(rows)) {}

TargetedRows::TargetedRows(const RowSeed& seed, const LossGraph& graph)
    : TargetedRows(seed, CapturedRows(seed.gradients, graph)) {}

TargetedRows::TargetedRows(const RowSeed& seed, Capture captured, const LossGraph& graph)
    : TargetedRows(seed, CapturedRows(seed.gradients, std::move(captured), graph)) {}

Tensor TargetedRows::noise() const {
  const PlainArithmetic plain;
  const auto norms = rows_.squared_norms();
  const auto mean = rows_of_example_ * weights_.dot(norms) / weights_.sum();
  if (const double value = mean.item<double>(); value > 0 && std::isfinite(value)) return mean;
  // In double, where there is more room; without any weight it is 0, not 0/0.
  const auto weights = weights_.to(torch::kDouble);
  return rows_of_example_ * weights.dot(norms.to(torch::kDouble)) /
         weights.sum().clamp_min(std::numeric_limits<double>::min());
}

LinearOperator matrix_of(std::shared_ptr<const TargetedRows> targeted, std::string name) {
  const auto& rows = targeted->rows();
  Root root;
  root.rows = rows.rows();
  root.multiply = [targeted](const Tensor& v) { return targeted->rows().multiply(v); };
  root.multiply_transposed = [targeted](const Tensor& u) {
    return targeted->rows().multiply_transposed(u);
  };
  root.gram = [targeted] { return targeted->rows().gram(); };
  root.costs = [targeted] { return targeted->rows().costs(); };
  const auto multiply = [targeted](const Tensor& v) {
    return targeted->rows().multiply_transposed(targeted->rows().multiply(v));
  };
  return LinearOperator(std::move(name), rows.parameters().size(), rows.parameters().options(),
                        multiply)
      .with_root(std::move(root));
}

CurvatureAt at_rows(std::shared_ptr<const TargetedRows> rows, std::string name) {
  CurvatureAt at(
      matrix_of(rows, name), [rows](const at::Generator&) { return rows->noise(); },
      rows->targets());
  at.choice = std::move(name);
  return at;
}

}  // namespace natgrad::detail
