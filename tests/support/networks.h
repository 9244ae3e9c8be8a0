#pragma once

// Small networks in double, one for each way in which parameters can meet the outputs. All answer
// z of [kExamples, kOutputs], so that each goes with each loss of losses.h.

#include <torch/types.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace natgrad::testing {

constexpr int64_t kExamples = 4, kOutputs = 6;

struct Network {
  std::vector<torch::Tensor> parameters;   ///< those that require a gradient, used or not
  std::function<torch::Tensor()> forward;  ///< z, [kExamples, kOutputs]
};

struct NetworkCase {
  std::string name;
  std::function<Network()> make;
};

/// The plain one: 3-5-6, tanh.
Network tanh_network();
/// All of them; adding a network is one line.
const std::vector<NetworkCase>& networks();

/// Seeded normal numbers times `scale` that require a gradient.
torch::Tensor parameter(at::IntArrayRef shape, uint64_t seed, double scale = 1);

inline std::ostream& operator<<(std::ostream& out, const NetworkCase& network) {
  return out << network.name;
}

}  // namespace natgrad::testing
