#pragma once

#include "detail.h"

#include <natgrad/optim/batch.h>
#include "optim/preserved.h"

#include <memory>
#include <vector>

namespace natgrad::detail {

/// A batch as one function of θ within a step. The first call for a chunk is like any call of the
/// user's closure; later ones see the same random numbers, and leave the generators, the module's
/// buffers and modes as they were; of no module, the statistics of batch normalisation that the
/// first chunk's graph tells.
class ReplayedBatch {
 public:
  ReplayedBatch(Batch batch, std::vector<torch::Tensor> parameters, Model model);

  int64_t chunks() const { return batch_.chunks; }
  /// The loss of a chunk, with its graph unless gradients are disabled.
  torch::Tensor evaluate(int64_t chunk);
  /// The loss of a chunk at a trial point: without a graph, unless that is asked for or the closure
  /// differentiates itself (`backward()`, or `autograd::grad` by its inputs).
  torch::Tensor evaluate_trial(int64_t chunk, bool differentiable);

 private:
  torch::Tensor evaluate_first(int64_t chunk);
  const std::vector<torch::Tensor>& statistics();

  Batch batch_;
  std::vector<torch::Tensor> parameters_;
  Model model_;
  torch::Tensor first_loss_;                              // of chunk 0, with its graph
  std::optional<std::vector<torch::Tensor>> statistics_;  // by then
  std::vector<Restore> generators_;  // by chunk, as they were at its first call
  bool differentiates_ = false;      // whether the closure needs gradients enabled
};

}  // namespace natgrad::detail
