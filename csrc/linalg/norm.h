#pragma once

#include "detail.h"

#include <torch/types.h>

#include <cmath>

namespace natgrad::detail {

/// ‖v‖ over all of its elements, as in double: where squares of float32 numbers under- or overflow
/// they are summed in double. Waits for the device.
double norm_in_double(const torch::Tensor& v);

/// aᵀb of two vectors, in double. Waits for the device.
double dot_in_double(const torch::Tensor& a, const torch::Tensor& b);

/// ‖a - b‖/‖b‖; 0 where both are 0, infinite where b alone is.
double relative_difference(const torch::Tensor& a, const torch::Tensor& b);

/// The larger of two; NaN if either is, which `std::max` may lose.
inline double worst(double a, double b) { return std::isnan(a) || a > b ? a : b; }

/// The rounding ε of double or, for any other dtype, of float32.
double rounding_of(const torch::TensorOptions& options);
/// The largest number of double or, for any other dtype, of float32.
double largest_number_of(const torch::TensorOptions& options);

}  // namespace natgrad::detail
