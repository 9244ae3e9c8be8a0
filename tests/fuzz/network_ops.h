#pragma once

#include <vector>

#include "fuzz/program.h"

namespace natgrad::testing::fuzz {

/// An op of random networks: of [N, w] and [N, w'] it makes [N, ...].
struct NetworkOp {
  const char* name;
  Tensor (*build)(Workshop& workshop, const Tensor& a, const Tensor& b, uint64_t k);
};

/// The sound ones first; then those that natgrad may refuse.
const std::vector<NetworkOp>& network_ops();
/// How many are sound.
size_t sound_ops();

/// By kind, for `network_ops`.
std::vector<NetworkOp> layer_ops();
std::vector<NetworkOp> elementwise_ops();
std::vector<NetworkOp> shape_ops();
std::vector<NetworkOp> mixing_ops();
std::vector<NetworkOp> inplace_ops();
std::vector<NetworkOp> opaque_ops();

}  // namespace natgrad::testing::fuzz
