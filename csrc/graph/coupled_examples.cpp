#include "graph/coupled_examples.h"

#include <torch/types.h>
#include "graph/backward.h"
#include "graph/depth_first.h"
#include "libtorch/nodes.h"

namespace natgrad::detail {

using torch::autograd::Node;

void check_examples_are_independent(const Census& census) {
  for (Node* node : census.nodes) {
    if (!is_batch_normalisation_in_training(*node)) continue;
    const auto batch = shape_at(result_of(*node))[0];
    TORCH_CHECK(
        batch == 1, "natgrad: batch normalisation in training mode (", node->name(),
        ", a batch of ", batch,
        ") couples the examples: each one's loss depends on the inputs of all, so that no "
        "gradient belongs to one example. Call model->eval() before the forward pass, which "
        "normalises by the running statistics, or use GroupNorm, LayerNorm or InstanceNorm.");
  }
}

}  // namespace natgrad::detail
