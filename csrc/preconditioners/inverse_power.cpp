#include "preconditioners/inverse_power.h"

#include <torch/torch.h>

namespace natgrad::detail {

void check_exponent(const Preconditioner& preconditioner, double exponent) {
  TORCH_CHECK(exponent > 0 && exponent <= 1, "natgrad: the exponent of ", preconditioner.describe(),
              " is in (0, 1]; Martens takes 0.75.");
}

LinearOperator inverse_power(const Preconditioner& preconditioner, const torch::Tensor& d,
                             double lambda, double exponent) {
  check_exponent(preconditioner, exponent);
  return diagonal_operator((d + lambda).pow(-exponent));
}

}  // namespace natgrad::detail
