#pragma once

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include <functional>
#include <vector>

#include "detail.h"

namespace natgrad::detail {

/// Puts something back as it was when this was made; can be called again.
using Restore = std::function<void()>;

/// The default random generators that a closure may draw from: the CPU's, and that of the
/// parameters' device.
std::vector<at::Generator> default_generators(const torch::Device& device);

/// Puts these back.
Restore generator_states(const torch::Device& device);

/// Gives the tensor its stand-in for data, until it is put back: graphs that saved the tensor are
/// then valid again.
Restore exchange_data(torch::Tensor tensor, const torch::Tensor& stand_in);

}  // namespace natgrad::detail
