#pragma once

#include "detail.h"

#include <natgrad/diagnostics/reparametrisation.h>
#include <natgrad/graph/loss_graph.h>

#include <functional>
#include <vector>

#include "libtorch/replaced_leaves.h"
#include "optim/preserved.h"

namespace natgrad::detail {

/// A user's loss, and the parameters that it is a function of: while this lives they may be results
/// of others, and each call sees the random numbers that the first one saw. Afterwards the
/// parameters, their `.grad`s and the generators are as before.
class LossOfParameters {
 public:
  using Loss = std::function<torch::Tensor()>;

  /// Throws `c10::ValueError` for parameters that do not require a gradient.
  LossOfParameters(const std::vector<torch::Tensor>& parameters, Loss loss);

  /// θ of the model itself, [P].
  const torch::Tensor& theta() const { return theta_; }
  /// The loss at another θ of [P], with the graph that this one has. What was computed with a graph
  /// is valid until the next call with one; without gradients (a trial) it stays valid.
  torch::Tensor at(const torch::Tensor& theta);

 private:
  Loss loss_;
  ReplacedLeaves leaves_;
  torch::Tensor theta_;
  Preserved before_;
  Restore generators_;
};

/// A loss as a function of other parameters γ, θ = g(γ), by autograd through g. Of no g, γ is θ,
/// seen in the same way, so that two charts differ by g alone.
class Chart {
 public:
  /// Starts at the γ of the model's θ. Throws `c10::ValueError` for a g that does not lead back to
  /// θ or whose Jacobian is singular there. Both have to outlive it.
  Chart(LossOfParameters& h, const Reparametrisation* g);

  /// γ, a leaf of [P].
  const torch::Tensor& gamma() const { return gamma_; }
  /// γ ← value.
  void move_to(const torch::Tensor& value);
  /// g(γ), without a graph.
  torch::Tensor theta() const;
  /// The loss at γ; its graph is valid as `LossOfParameters::at` says.
  torch::Tensor loss() { return h_.at(result()); }
  /// Its graph.
  LossGraph graph();

 private:
  torch::Tensor result() const;

  LossOfParameters& h_;
  const Reparametrisation* g_;
  torch::Tensor gamma_;
};

}  // namespace natgrad::detail
