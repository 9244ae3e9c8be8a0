#include "diagnostics/explicit_matrix.h"

#include <torch/torch.h>

#include <cmath>
#include <limits>

namespace natgrad::detail {

using torch::Tensor;

void check_fits_matrix(int64_t size, const std::string& what, const std::string& instead) {
  TORCH_CHECK_VALUE(size <= kLargestMatrix, "natgrad: ", what,
                    " forms matrices of [P, P], for P <= ", kLargestMatrix, " parameters, but got ",
                    size, ". ", instead);
}

Tensor explicit_matrix(const LinearOperator& A) {
  const torch::NoGradGuard no_grad;
  const auto C = dense(A).to(torch::kCPU, torch::kDouble);
  return 0.5 * (C + C.t());
}

double ratio_of(const Tensor& sizes) {
  const double least = sizes.min().item<double>(), most = sizes.max().item<double>();
  return least > 0 && std::isfinite(most) ? most / least : std::numeric_limits<double>::infinity();
}

Spectrum::Spectrum(const Tensor& C, double cutoff) {
  TORCH_CHECK_VALUE(C.isfinite().all().item<bool>(),
                    "natgrad: the curvature matrix holds numbers that are not finite.");
  const auto [values, vectors] = torch::linalg_eigh(C);
  const auto sizes = values.abs();
  const auto counts = sizes > cutoff * sizes.max();
  values_ = values.masked_select(counts);
  vectors_ = vectors.index_select(1, counts.nonzero().squeeze(1));
  condition_ = rank() == 0 ? 1 : (values_.abs().max() / values_.abs().min()).item<double>();
}

Tensor Spectrum::solve(const Tensor& b, double shift) const {
  const auto wide = b.to(vectors_), along = vectors_.t().mv(wide);
  const auto in_range = vectors_.mv(along / (values_ + shift));
  return shift == 0 ? in_range : in_range + (wide - vectors_.mv(along)) / shift;
}

}  // namespace natgrad::detail
