#pragma once

#include <torch/types.h>

namespace natgrad {

/// ‖v‖ over all of its elements, summed in double: squares of float32 numbers under- and overflow
/// where the numbers themselves do not. Waits for the device.
double norm_in_double(const torch::Tensor& v);

/// The rounding ε of double or, for any other dtype, of float32.
double rounding_of(const torch::TensorOptions& options);

}  // namespace natgrad
