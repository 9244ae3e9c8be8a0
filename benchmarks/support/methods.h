#pragma once

#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <functional>
#include <vector>

namespace benchmarks {

/// A method's step on the loss of a batch, made for a model's parameters.
using Step = std::function<void(const torch::Tensor& loss)>;
using Method = std::function<Step(std::vector<torch::Tensor> parameters)>;

Method natural_gradient(const natgrad::NaturalGradientOptions& options = {});
Method adam(double rate);
/// The gradient alone, which is given back: no step is taken.
Method backward_only();

}  // namespace benchmarks
