#pragma once

#include "detail.h"

#include <natgrad/likelihoods/likelihood.h>
#include <torch/csrc/autograd/function.h>

#include <memory>

namespace natgrad::detail {

/// The node that `nll` leaves in the graph, on top of the per-observation -log r.
struct NegativeLogLikelihoodNode final : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override;
  std::string name() const override { return "natgrad::nll"; }

  std::shared_ptr<const Likelihood> likelihood;
  torch::autograd::Edge outputs;
  uint32_t version = 0;  // of the likelihood's outputs when the node was made
};

/// The node that `outputs` leaves in the graph. In a run that holds the marks no gradient passes
/// it, which is how H_L is taken with the other outputs constant.
struct OutputsNode final : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override;
  std::string name() const override { return "natgrad::outputs"; }

  std::shared_ptr<const Likelihood> distribution;  // null if none was named
  uint32_t version = 0;                            // of its outputs when the node was made
};

/// The node's mark of outputs; null for any other.
inline OutputsNode* outputs_mark(const torch::autograd::Edge& edge) {
  return dynamic_cast<OutputsNode*>(edge.function.get());
}

/// The node that `penalty` leaves in the graph.
struct PenaltyNode final : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override;
  std::string name() const override { return "natgrad::penalty"; }
};

/// Throws `c10::Error` if a likelihood's outputs were changed in place since they had `version`:
/// its Fisher matrix would then be that of other outputs than the network's.
void check_unchanged(const Likelihood& likelihood, uint32_t version);

}  // namespace natgrad::detail
