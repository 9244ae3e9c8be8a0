#pragma once

#include "detail.h"

#include <torch/types.h>

#include <functional>
#include <optional>
#include <vector>

#include "libtorch/functorch.h"

namespace natgrad::detail {

/// Tensors in, one tensor out.
using TensorFunction = std::function<torch::Tensor(const std::vector<torch::Tensor>&)>;

/// f of each slice along dimension 0 of `batches` (all equally long there), stacked along dimension
/// 0: one call of f, whose operations LibTorch's functorch runs for all slices at once.
///
/// Answers nothing where that cannot be done, and the caller then loops: LibTorch's functorch
/// headers were missing when natgrad was built, or f threw (it looks at values, or writes in place
/// into a tensor that has no slices). Where LibTorch has no batching rule for an op, it loops over
/// the slices for that op alone.
std::optional<torch::Tensor> vmap(const TensorFunction& f,
                                  const std::vector<torch::Tensor>& batches);

}  // namespace natgrad::detail
