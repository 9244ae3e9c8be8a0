#pragma once

#include <torch/types.h>

#include <utility>

#include "detail.h"

namespace natgrad::detail {

/// While it lives, gradients can be taken by outputs that may have no graph, as those of a loss
/// that was read off its own.
class DifferentiableOutputs {
 public:
  explicit DifferentiableOutputs(torch::Tensor z)
      : z_(std::move(z)), had_graph_(z_.requires_grad()) {
    if (!had_graph_) z_.set_requires_grad(true);
  }
  ~DifferentiableOutputs() {
    if (!had_graph_) z_.set_requires_grad(false);
  }
  DifferentiableOutputs(const DifferentiableOutputs&) = delete;
  DifferentiableOutputs& operator=(const DifferentiableOutputs&) = delete;

  const torch::Tensor& tensor() const { return z_; }

 private:
  torch::Tensor z_;
  bool had_graph_;
};

}  // namespace natgrad::detail
