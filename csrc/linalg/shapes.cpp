#include "linalg/shapes.h"

#include <torch/torch.h>

namespace natgrad::detail {

torch::Tensor shapes_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<int64_t> sizes;
  for (const auto& tensor : tensors) {
    sizes.push_back(tensor.dim());
    sizes.insert(sizes.end(), tensor.sizes().begin(), tensor.sizes().end());
  }
  return torch::tensor(sizes, torch::kLong);
}

}  // namespace natgrad::detail
