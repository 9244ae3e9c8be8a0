#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/census.h"

namespace natgrad::detail {

using NodeSet = std::unordered_set<const torch::autograd::Node*>;

/// Where the gradients of the parameters go, of those that require one.
NodeSet nodes_of(const std::vector<torch::Tensor>& parameters);

/// A node and which of its inputs; no node for a root of the walk.
struct Consumer {
  torch::autograd::Node* node;
  size_t input;
};
/// By node: what takes its result.
using Consumers = std::unordered_map<const torch::autograd::Node*, std::vector<Consumer>>;

/// Those of all nodes that the walk met.
Consumers consumers_of(const Census& census);

/// An input of an op that a parameter arrives at.
struct Use {
  Consumer at;
  bool is_transposed = false;
};

/// All that is made of the parameter whose gradient goes to `edge`, past transpositions of a matrix
/// and casts.
std::vector<Use> uses_of(const torch::autograd::Edge& edge, const Consumers& consumers);

}  // namespace natgrad::detail
