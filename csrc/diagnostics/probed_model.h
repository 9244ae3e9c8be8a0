#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

#include <functional>
#include <optional>
#include <vector>

#include "diagnostics/moved_loss.h"

namespace natgrad::detail {

/// A model as a function of θ (moved_loss.h), whose loss has a distribution in each term.
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
  MovedLoss moved_;
  std::optional<LossGraph> graph_;
};

}  // namespace natgrad::detail
