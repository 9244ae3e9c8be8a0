#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

#include <functional>
#include <optional>
#include <vector>

#include "optim/replayed_batch.h"

namespace natgrad::detail {

/// A user's loss as a function of θ, of which nothing is left changed: the parameters keep their
/// memory, and hold others only while the loss is looked at; generators are put back, `.grad`s are
/// not touched. The closure's first call may write to buffers, as any call of the user's does; the
/// further ones see the same random numbers and leave no trace.
class ProbedModel {
 public:
  /// Calls the closure at θ. Throws `c10::Error` for a loss that cannot be read, or has terms
  /// without a distribution.
  ProbedModel(std::vector<torch::Tensor> parameters, std::function<torch::Tensor()> loss);

  const LossGraph& graph() const { return *graph_; }
  const ParameterLayout& parameters() const { return graph_->parameters(); }
  /// Shows the graph at θ + d, for d of [P], while the parameters are there; whatever is thrown,
  /// they are back at θ afterwards. False, with nothing shown, where outputs leave their domain.
  bool at(const torch::Tensor& d, const std::function<void(const LossGraph& graph)>& look);

 private:
  ReplayedBatch batch_;
  std::optional<LossGraph> graph_;
};

}  // namespace natgrad::detail
