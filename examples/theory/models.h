#pragma once

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

namespace examples::theory {

/// Any module with digits as its inputs, [N, 64], and ten class scores as its outputs, in double.
struct Model {
  std::string name;
  std::vector<torch::Tensor> parameters;
  std::function<torch::Tensor(const torch::Tensor& pixels)> forward;
};

/// 64-12-10 with tanh units; a convolution and pooling; a recurrent network that reads row by row;
/// attention between the rows.
std::vector<Model> models_of_digits();

}  // namespace examples::theory
