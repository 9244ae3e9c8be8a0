#pragma once

#include "detail.h"

#include <torch/nn/module.h>
#include <torch/types.h>
#include "optim/module_state.h"
#include "optim/random_state.h"

#include <memory>
#include <vector>

namespace natgrad::detail {

/// All or nothing: remembers the parameters, their gradients and requires_grad flags, the default
/// random generators, and, given a module, its buffers and train/eval modes. Unless `commit` is
/// called, the destructor puts everything back, bit for bit.
class Transaction {
 public:
  Transaction(std::vector<torch::Tensor> parameters, std::shared_ptr<torch::nn::Module> module);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void commit() { committed_ = true; }

 private:
  struct SavedGradient {
    torch::Tensor tensor, value;
  };
  void restore();

  std::vector<torch::Tensor> parameters_;
  std::vector<torch::Tensor> values_;
  std::vector<bool> requires_grad_;
  std::vector<SavedGradient> gradients_;
  RandomState random_state_;
  ModuleState module_state_;
  bool committed_ = false;
};

}  // namespace natgrad::detail
