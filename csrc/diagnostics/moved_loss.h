#pragma once

#include <natgrad/linalg/parameters.h>

#include <functional>
#include <vector>

#include "detail.h"
#include "optim/replayed_batch.h"

namespace natgrad::detail {

/// A user's loss as a function of θ, of which nothing is left changed: the parameters keep their
/// memory, and hold others only while the loss is looked at; generators are put back, `.grad`s are
/// not touched. The closure's first call may write to buffers, as any call of the user's does; the
/// further ones see the same random numbers and leave no trace.
class MovedLoss {
 public:
  MovedLoss(std::function<torch::Tensor()> loss, std::vector<torch::Tensor> parameters);

  const ParameterLayout& parameters() const { return parameters_; }
  /// h(θ) with its graph.
  torch::Tensor here();
  /// Calls `look` with h(θ + d) and its graph, for d of [P], while the parameters are there;
  /// whatever is thrown, they are back at θ afterwards.
  void at(const torch::Tensor& d, const std::function<void(const torch::Tensor& h)>& look);
  /// h(θ + d), without a graph.
  double value_at(const torch::Tensor& d);

 private:
  ParameterLayout parameters_;
  ReplayedBatch batch_;
};

}  // namespace natgrad::detail
