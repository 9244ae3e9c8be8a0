#pragma once

// torch::Tensor without the rest of LibTorch: <torch/types.h> takes 15 seconds to compile, this 2.
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

/// As in <torch/types.h>.
namespace torch {
using namespace at;  // NOLINT
}
