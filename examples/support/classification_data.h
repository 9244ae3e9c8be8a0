#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/data/example.h>
#include <torch/types.h>

#include <string>

namespace examples {

/// Examples to classify: `data` is inputs [N, features] in float32, `target` class indices [N].
struct ClassificationData {
  std::string name;
  torch::data::Example<> train, held_out;
};

inline torch::data::Example<> select(const torch::data::Example<>& examples,
                                     const torch::Tensor& rows) {
  return {examples.data.index_select(0, rows), examples.target.index_select(0, rows)};
}

/// 0 .. size - 1 in random order. On the CPU, so that every device sees the same order.
inline torch::Tensor shuffled_rows(int64_t size, const torch::Generator& generator) {
  return torch::randperm(size, generator, torch::kInt64);
}

}  // namespace examples
