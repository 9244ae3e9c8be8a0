#pragma once

#include "detail.h"

#include <torch/types.h>

#include <cstdint>

namespace natgrad::detail {

/// While it lives, LibTorch runs each op on a tensor that `enter` gave for all its slices at once,
/// and does not warn of those for which it has to loop. Levels nest.
class VmapLevel {
 public:
  explicit VmapLevel(int64_t slices);
  ~VmapLevel();
  VmapLevel(const VmapLevel&) = delete;
  VmapLevel& operator=(const VmapLevel&) = delete;

  /// A tensor that stands for the slices of `batch` along dimension 0.
  torch::Tensor enter(const torch::Tensor& batch) const;

 private:
  bool warned_ = false;
  int64_t level_ = 0;
};

/// Whether `t` stands for slices, of any level.
bool is_batched(const torch::Tensor& t);
/// The slices that such a tensor stands for, along dimension 0; [1, ...] of another one.
torch::Tensor batch_values(const torch::Tensor& t);

}  // namespace natgrad::detail
