#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/data/example.h>
#include <torch/types.h>

#include <string>

namespace examples {

/// Some examples at once: `data` the inputs, `target` the targets, both [N, ...].
using Batch = torch::data::Example<>;

/// Examples to train on, and others to see what was learnt.
struct Dataset {
  std::string name;
  Batch train, held_out;
};

inline Batch select(const Batch& examples, const torch::Tensor& rows) {
  return {examples.data.index_select(0, rows), examples.target.index_select(0, rows)};
}

/// 0 .. size - 1 in random order. On the CPU, so that every device sees the same order.
inline torch::Tensor shuffled_rows(int64_t size, const torch::Generator& generator) {
  return torch::randperm(size, generator, torch::kInt64);
}

}  // namespace examples
