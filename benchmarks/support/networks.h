#pragma once

#include <torch/nn.h>

#include <vector>

namespace benchmarks {

/// Linear layers of these widths with tanh between them.
torch::nn::Sequential tanh_network(const std::vector<int64_t>& widths);

/// For digits of 8x8 pixels: two convolutions 3x3, each with ReLU and pooling, and a linear layer.
torch::nn::Sequential small_convolutional_network();

/// For images of 28x28 pixels: two convolutions 5x5 with stride 2 and tanh, and a linear layer.
torch::nn::Sequential strided_convolutional_network();

}  // namespace benchmarks
