#pragma once

#include "detail.h"

#include <torch/types.h>

#include <utility>
#include <vector>

namespace natgrad::detail {

/// The states of the default random generators that a closure may draw from: the CPU's, and that of
/// the parameters' device.
class RandomState {
 public:
  /// The present ones.
  explicit RandomState(const torch::Device& device);
  /// Puts the generators back to them.
  void restore() const;

 private:
  std::vector<std::pair<at::Generator, torch::Tensor>> states_;
};

}  // namespace natgrad::detail
