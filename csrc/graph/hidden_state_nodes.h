#pragma once

#include "detail.h"

#include <natgrad/graph/hidden_states.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <vector>

namespace natgrad::detail {

/// The node that `hidden` leaves in the graph.
struct HiddenStateNode final : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override;
  void release_variables() override { h.reset_data(); }
  std::string name() const override { return "natgrad::hidden"; }

  HiddenDistance distance = HiddenDistance::Squared;
  torch::autograd::SavedVariable h;  // none of a squared distance, which does not need it
};

/// A marked hidden state, as the graph tells it.
struct HiddenState {
  torch::autograd::Edge edge;  ///< of h, [N, ...]
  /// H_D, which is diagonal, shaped like h; undefined if it is the identity.
  torch::Tensor distance_hessian;
};

/// The hidden states that are marked below the loss, those first that were computed first.
/// Throws `c10::Error` if the graph has been freed, if a kept state was changed in
/// place, or if a state lies outside the range of its distance's units.
///
/// Where a unit is saturated to within the rounding ε of its dtype, h(1-h) < ε, H_D is 1/ε. There
/// dh/da = h(1-h) vanishes faster than H_D grows, a its input: what the unit adds in a, h(1-h)
/// without the bound, is smaller with it, and zero at the ends.
std::vector<HiddenState> hidden_states(const LossGraph& graph);

}  // namespace natgrad::detail
