#include "graph/coupled_examples.h"

#include <torch/types.h>

#include <algorithm>

#include "graph/backward.h"
#include "graph/depth_first.h"
#include "libtorch/nodes.h"

namespace natgrad::detail {

using torch::autograd::Node;

Node* find_batch_normalisation(const Census& census) {
  const auto couples = [](Node* node) {
    return is_batch_normalisation_in_training(*node) && shape_at(result_of(*node))[0] > 1;
  };
  const auto found = std::find_if(census.nodes.begin(), census.nodes.end(), couples);
  return found == census.nodes.end() ? nullptr : *found;
}

void check_examples_are_independent(const Census& census) {
  Node* node = find_batch_normalisation(census);
  if (!node) return;
  TORCH_CHECK(
      false, "natgrad: batch normalisation in training mode (", node->name(), ", a batch of ",
      shape_at(result_of(*node))[0],
      ") couples the examples: each one's loss depends on the inputs of all, so that no "
      "gradient belongs to one example. Take the default curvature, which asks for none, call "
      "model->eval() before the forward pass, which normalises by the running statistics, "
      "or use GroupNorm, LayerNorm or InstanceNorm.");
}

}  // namespace natgrad::detail
