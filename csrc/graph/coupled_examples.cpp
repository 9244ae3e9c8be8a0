#include "graph/coupled_examples.h"

#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/types.h>
#include "graph/backward.h"

namespace natgrad::detail {
namespace {

using torch::autograd::Node;
using namespace torch::autograd::generated;  // NOLINT: the names of LibTorch's own nodes

template <class Normalisation>
bool is_training(Node& node) {
  const auto* normalisation = dynamic_cast<Normalisation*>(&node);
  return normalisation && normalisation->training;
}

bool is_batch_normalisation_in_training(Node& node) {
  return is_training<NativeBatchNormBackward0>(node) ||
         is_training<CudnnBatchNormBackward0>(node) ||
         is_training<MiopenBatchNormBackward0>(node) ||
         is_training<NativeBatchNormLegitBackward0>(node) ||
         is_training<NativeBatchNormLegitBackward1>(node) ||
         dynamic_cast<BatchNormWithUpdateBackward0*>(&node);
}

}  // namespace

void check_examples_are_independent(const Census& census) {
  for (Node* node : census.nodes) {
    if (!is_batch_normalisation_in_training(*node)) continue;
    const auto batch = shape_at({c10::intrusive_ptr<Node>::reclaim_copy(node), 0})[0];
    TORCH_CHECK(
        batch == 1, "natgrad: batch normalisation in training mode (", node->name(),
        ", a batch of ", batch,
        ") couples the examples: each one's loss depends on the inputs of all, so that no "
        "gradient belongs to one example. Call model->eval() before the forward pass, which "
        "normalises by the running statistics, or use GroupNorm, LayerNorm or InstanceNorm.");
  }
}

}  // namespace natgrad::detail
