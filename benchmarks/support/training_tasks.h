#pragma once

#include <torch/torch.h>

#include <functional>
#include <map>
#include <string>

namespace benchmarks {

struct Data {
  torch::Tensor inputs, targets;
  int64_t size() const { return inputs.size(0); }
};

/// What is trained: the data follow from the seed alone, the model from LibTorch's generator.
struct Task {
  std::string description;
  int64_t epochs;
  std::function<Data(uint64_t seed)> load;
  std::function<torch::nn::Sequential()> make_model;
  std::function<torch::Tensor(const torch::Tensor& z, const torch::Tensor& y)> loss;
};

/// "digits", "conv", "regression" and "regression30".
const std::map<std::string, Task>& all_tasks();

}  // namespace benchmarks
