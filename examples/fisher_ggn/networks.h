#pragma once

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

namespace examples {

/// A network on random inputs, of any width.
struct Network {
  std::function<torch::Tensor()> outputs;  ///< of its last layer, [N, K], on a new graph
  std::vector<torch::Tensor> parameters;

  /// P.
  int64_t weights() const;
};

/// What a network is like, whatever its width.
struct Shape {
  int64_t outputs;   ///< K
  int64_t examples;  ///< N
  torch::ScalarType dtype = torch::kDouble;
};

/// "mlp", "conv", "recurrent" and "attention".
const std::vector<std::string>& network_names();
/// The network of this name: `width` units in a layer, channels, states or numbers a token.
Network make_network(const std::string& name, int64_t width, const Shape& shape);
/// The largest width of no more than this many weights. Throws `c10::Error` if there is none.
int64_t width_of(const std::string& name, int64_t weights, const Shape& shape);

}  // namespace examples
