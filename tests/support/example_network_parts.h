#pragma once

// What the example networks are made of, and those of them that look tables up.

#include <torch/torch.h>

#include "support/example_networks.h"
#include "support/oracles.h"

namespace natgrad::testing::example_network_parts {

inline Tensor images(int64_t channels, int64_t size) {
  return randn({kBatch, channels, size, size}, 1001);
}
inline Tensor sequences(int64_t length, int64_t width) {
  return randn({kBatch, length, width}, 1002);
}
inline Tensor vectors() { return randn({kBatch, 4}, 1003); }

/// kClasses numbers from any hidden tensor [n, ...], without parameters.
inline Tensor mixed(const Tensor& hidden) {
  const auto h = hidden.flatten(1).tanh();
  return h.mm(randn({h.size(1), kClasses}, 1004));
}

/// Two words of seven an example; one row is met twice in an example, one by none.
inline Tensor words() { return torch::tensor({{0, 3}, {3, 3}, {6, 1}, {2, 0}, {5, 3}}); }

/// Embeddings, bags, selections of rows, positions.
std::vector<ExampleNetworkCase> networks_of_tables();

}  // namespace natgrad::testing::example_network_parts
