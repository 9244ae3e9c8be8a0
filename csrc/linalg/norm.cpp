#include "linalg/norm.h"
#include <torch/torch.h>

#include <cmath>
#include <limits>

namespace natgrad::detail {

// Squares of float32 numbers whose sum lies between these are neither lost nor infinite.
constexpr double kSmall = 1e-25, kLarge = 1e30;

double norm_in_double(const torch::Tensor& v) {
  if (v.scalar_type() == torch::kFloat && v.dim() == 1) {
    const double square = v.dot(v).item<double>();  // many times faster
    if (square > kSmall && square < kLarge) return std::sqrt(square);
  }
  return torch::linalg_vector_norm(v, 2, std::nullopt, false, torch::kDouble).item<double>();
}

double dot_in_double(const torch::Tensor& a, const torch::Tensor& b) {
  return a.to(torch::kDouble).dot(b.to(torch::kDouble)).item<double>();
}

double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  const double gap = norm_in_double(a - b);
  return gap == 0 ? 0 : gap / norm_in_double(b);
}

double rounding_of(const torch::TensorOptions& options) {
  return options.dtype() == torch::kDouble ? std::numeric_limits<double>::epsilon()
                                           : std::numeric_limits<float>::epsilon();
}

double largest_number_of(const torch::TensorOptions& options) {
  return options.dtype() == torch::kDouble ? std::numeric_limits<double>::max()
                                           : std::numeric_limits<float>::max();
}

}  // namespace natgrad::detail
