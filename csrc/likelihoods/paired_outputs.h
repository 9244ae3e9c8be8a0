#pragma once

#include "detail.h"

// Outputs that hold two parameters for each observation: [N, 2M, ...], along dimension 1 the M
// first ones and then the M second ones.

#include <torch/torch.h>

#include <string>

namespace natgrad::detail {

struct PairedOutputs {
  torch::Tensor first, second;
};

inline PairedOutputs split_outputs(const torch::Tensor& t) {
  const auto half = t.size(1) / 2;
  return {t.narrow(1, 0, half), t.narrow(1, half, half)};
}

inline torch::Tensor join_outputs(const torch::Tensor& first, const torch::Tensor& second) {
  return torch::cat({first, second}, 1);
}

/// Throws unless z has that shape; `family` begins the sentence.
inline void check_paired(const torch::Tensor& z, const std::string& family) {
  TORCH_CHECK(z.dim() >= 2 && z.size(1) % 2 == 0, "natgrad: ", family,
              " needs outputs of shape [N, 2M, ...], the M first parameters and then the M second "
              "ones, but got ",
              z.sizes(), ".");
}

}  // namespace natgrad::detail
