#pragma once

#include "detail.h"

#include <natgrad/optim/batch.h>
#include <torch/nn/module.h>
#include "optim/preserved.h"

#include <memory>
#include <vector>

namespace natgrad::detail {

/// A batch as one function of θ within a step. The first call for a chunk is like any call of the
/// user's closure; later ones see the same random numbers, and leave the generators, the module's
/// buffers and modes as they were.
class ReplayedBatch {
 public:
  ReplayedBatch(Batch batch, std::vector<torch::Tensor> parameters,
                std::shared_ptr<torch::nn::Module> module);

  int64_t chunks() const { return batch_.chunks; }
  /// The loss of a chunk, with its graph unless gradients are disabled.
  torch::Tensor evaluate(int64_t chunk);
  /// Whether the closure ran a backward pass of its own, and so needs gradients enabled.
  bool runs_backward() const { return runs_backward_; }

 private:
  torch::Tensor evaluate_first(int64_t chunk);

  Batch batch_;
  std::vector<torch::Tensor> parameters_;
  std::shared_ptr<torch::nn::Module> module_;
  std::vector<Restore> generators_;  // by chunk, as they were at its first call
  bool runs_backward_ = false;
};

}  // namespace natgrad::detail
