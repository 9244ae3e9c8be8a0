#pragma once

#include "detail.h"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <vector>

namespace natgrad::detail {

/// The buffers (BatchNorm statistics) and the train/eval modes of a module and its parts; of no
/// module, nothing.
class ModuleState {
 public:
  /// The present ones.
  explicit ModuleState(const std::shared_ptr<torch::nn::Module>& module);
  /// Puts them back, bit for bit.
  void restore() const;

 private:
  struct SavedModule {
    std::shared_ptr<torch::nn::Module> module;
    bool training;
  };
  struct SavedBuffer {
    torch::Tensor buffer, value;
  };
  std::vector<SavedModule> modules_;
  std::vector<SavedBuffer> buffers_;
};

/// Writes `value` into `tensor` if something has changed: writing invalidates graphs that saved the
/// tensor.
void put_back(torch::Tensor tensor, const torch::Tensor& value);

}  // namespace natgrad::detail
