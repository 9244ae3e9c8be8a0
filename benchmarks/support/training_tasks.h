#pragma once

#include <torch/torch.h>

#include <functional>
#include <map>
#include <string>

#include "support/dataset.h"

namespace benchmarks {

/// What is trained: the data follow from the seed alone, the model from LibTorch's generator.
struct Task {
  std::string description;
  int64_t epochs;
  std::function<examples::Dataset(uint64_t seed)> load;
  std::function<torch::nn::Sequential()> make_model;
  std::function<torch::Tensor(const torch::Tensor& z, const torch::Tensor& y)> loss;
  /// Which outputs are right. None where the held-out examples are judged by their loss.
  std::function<torch::Tensor(const torch::Tensor& z, const torch::Tensor& y)> hits;
};

using Tasks = std::map<std::string, Task>;

/// "digits", "binary", "conv", "regression", "regression30", "fashion" and "fashion_conv". The
/// folder with Fashion-MNIST is read once, when first needed.
Tasks make_tasks(const std::string& fashion_folder);

std::vector<std::string> names_of(const Tasks& tasks);

}  // namespace benchmarks
