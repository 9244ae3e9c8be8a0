#pragma once

// What natgrad takes for granted about LibTorch, one test an assumption. If one fails with a new
// LibTorch, its message says what has changed and which file of csrc/libtorch/ to mend; the rest of
// csrc/ knows of none of this.

#include <string>

#include "libtorch/edges.h"
#include "support/oracles.h"

namespace natgrad::testing {

namespace F = torch::nn::functional;
using torch::autograd::Edge;
using torch::autograd::Node;

inline Tensor variable(at::IntArrayRef shape, uint64_t seed) {
  return randn(shape, seed).requires_grad_();
}
inline const Tensor& z() {
  static const Tensor z = variable({4, 3}, 1);
  return z;
}
inline const Tensor& y() {
  static const Tensor y = randn({4, 3}, 2).sigmoid();
  return y;
}
inline Tensor classes() { return torch::tensor({0, 2, 1, 1}); }

inline std::string mend(const std::string& file) {
  return "\nLibTorch " TORCH_VERSION " has changed: mend csrc/libtorch/" + file + ".";
}

inline bool leads_to(const Edge& edge, const Tensor& tensor) { return edge == edge_of(tensor); }

}  // namespace natgrad::testing
