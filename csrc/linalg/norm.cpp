#include <natgrad/linalg/norm.h>
#include <torch/torch.h>

#include <limits>

namespace natgrad {

double norm_in_double(const torch::Tensor& v) {
  return torch::linalg_vector_norm(v, 2, std::nullopt, false, torch::kDouble).item<double>();
}

double rounding_of(const torch::TensorOptions& options) {
  return options.dtype() == torch::kDouble ? std::numeric_limits<double>::epsilon()
                                           : std::numeric_limits<float>::epsilon();
}

}  // namespace natgrad
