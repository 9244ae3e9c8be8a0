#include "curvature/explicit_rows.h"

#include <torch/torch.h>

#include <utility>

namespace natgrad::detail {

LinearOperator operator_of_rows(const torch::Tensor& rows, std::string name) {
  const auto multiply = [rows](const torch::Tensor& v) { return rows.t().matmul(rows.matmul(v)); };
  return LinearOperator(std::move(name), rows.size(1), rows.options(), multiply, Columns::Together)
      .with_root(explicit_root(rows));
}

}  // namespace natgrad::detail
