#include "libtorch/running_statistics.h"

#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>

#include "libtorch/nodes.h"
#include "libtorch/saved.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Node;
namespace generated = torch::autograd::generated;

namespace {

void add_once(std::vector<Tensor>& found, const Tensor& statistic) {
  if (!statistic.defined()) return;
  const bool known = std::any_of(found.begin(), found.end(), [&](const Tensor& other) {
    return other.data_ptr() == statistic.data_ptr();
  });
  if (!known) found.push_back(statistic);
}

template <class BatchNorm>
void add_statistics(std::vector<Tensor>& found, Node& node) {
  const auto* norm = dynamic_cast<BatchNorm*>(&node);
  if (!norm) return;
  add_once(found, saved(norm->running_mean_, node));
  add_once(found, saved(norm->running_var_, node));
}

}  // namespace

std::vector<Tensor> running_statistics(const std::vector<Node*>& nodes) {
  std::vector<Tensor> found;
  for (Node* node : nodes) {
    if (!is_batch_normalisation_in_training(*node)) continue;
    add_statistics<generated::NativeBatchNormBackward0>(found, *node);
    add_statistics<generated::CudnnBatchNormBackward0>(found, *node);
  }
  return found;
}

}  // namespace natgrad::detail
