#pragma once

// Small networks in double as functions of their input, so that one example can be run by itself:
// one for each way in which a graph can hold layers, and some that it cannot.

#include <torch/types.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace natgrad::testing {

constexpr int64_t kBatch = 5, kClasses = 3;

struct ExampleNetwork {
  std::vector<torch::Tensor> parameters;
  torch::Tensor x;                                             ///< [kBatch, ...]
  std::function<torch::Tensor(const torch::Tensor&)> forward;  ///< z, [n, kClasses], of n examples
};

struct ExampleNetworkCase {
  std::string name;
  std::function<ExampleNetwork()> make;
  std::vector<bool> captured;           ///< by parameter: whether layers account for it
  size_t layers;                        ///< how many there are
  bool is_twice_differentiable = true;  ///< by LibTorch's ops
};

/// All of them; adding a network is one line.
const std::vector<ExampleNetworkCase>& example_networks();
/// Those that are made of layers alone.
std::vector<ExampleNetworkCase> networks_of_layers();

inline std::ostream& operator<<(std::ostream& out, const ExampleNetworkCase& network) {
  return out << network.name;
}

}  // namespace natgrad::testing
