#pragma once

#include <natgrad/graph/loss_graph.h>

#include <functional>
#include <vector>

#include "detail.h"
#include "linalg/restore.h"

namespace natgrad::detail {

/// A loss by its closure, at its own parameters θ and at others. Default random generators are put
/// back before each call to where they stood when this was made, so that dropout is the same.
class MovedLoss {
 public:
  MovedLoss(std::function<torch::Tensor()> loss, std::vector<torch::Tensor> parameters);

  const ParameterLayout& parameters() const { return parameters_; }
  /// h(θ) with its graph.
  torch::Tensor here() const;
  /// Calls `look` with h(θ + d) and its graph. The parameters' data is exchanged meanwhile.
  void at(const torch::Tensor& d, const std::function<void(const torch::Tensor& h)>& look) const;
  /// h(θ + d), without a graph.
  double value_at(const torch::Tensor& d) const;

 private:
  std::function<torch::Tensor()> loss_;
  ParameterLayout parameters_;
  Restore generators_;
};

}  // namespace natgrad::detail
