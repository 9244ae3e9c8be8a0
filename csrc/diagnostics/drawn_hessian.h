#pragma once

#include <natgrad/likelihoods/likelihood.h>

#include "detail.h"

namespace natgrad::detail {

/// -∇²_z log r(y|z) v, shaped like z, by double backward on `log_prob`: it knows no loss.
torch::Tensor minus_hessian_of_log_prob(const Likelihood& r, const torch::Tensor& y,
                                        const torch::Tensor& v);

}  // namespace natgrad::detail
