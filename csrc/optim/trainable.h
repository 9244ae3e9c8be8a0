#pragma once

#include "detail.h"

#include <natgrad/linalg/parameters.h>
#include <natgrad/optim/options.h>

#include <vector>

namespace natgrad::detail {

/// The parameters that take part in a step (those that require a gradient now), and which group's
/// options hold for which of them.
struct Trainable {
  struct Group {
    const NaturalGradientOptions* options;
    size_t begin, end;
  };
  std::vector<torch::Tensor> parameters;
  std::vector<Group> groups;
};

/// Throws `c10::Error` if no parameter requires a gradient.
Trainable trainable_of(const std::vector<torch::optim::OptimizerParamGroup>& groups);

/// A group's options. Throws `c10::Error` if they are another optimizer's.
const NaturalGradientOptions& options_of(const torch::optim::OptimizerParamGroup& group);

/// w of each parameter, [P], or the one that all groups share, 0-d; undefined if all are zero.
torch::Tensor weight_decay(const Trainable& trainable, const ParameterLayout& layout);

/// Each parameter's `.grad` ← its piece of `gradient`, [P], in a tensor of its own.
void write_gradients(const Trainable& trainable, const ParameterLayout& layout,
                     const torch::Tensor& gradient);

/// r α v, with each group's α = lr, for v of [P].
torch::Tensor at_rates(const Trainable& trainable, const torch::Tensor& v, double rate);

/// θ ← θ + d, in place.
void move_parameters(const ParameterLayout& layout, const torch::Tensor& displacement);

}  // namespace natgrad::detail
