#include "libtorch/functorch.h"

#include <torch/torch.h>

#include <ATen/functorch/BatchedFallback.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>

namespace natgrad::detail {

using torch::Tensor;

namespace functorch = at::functorch;

VmapLevel::VmapLevel(int64_t slices)
    : warned_(functorch::isVmapFallbackWarningEnabled()),
      level_(functorch::initAndPushDynamicLayer(functorch::TransformType::Vmap, c10::SymInt(slices),
                                                functorch::RandomnessType::Error)) {
  functorch::setVmapFallbackWarningEnabled(false);
}

VmapLevel::~VmapLevel() {
  functorch::popDynamicLayerAndDeleteMetadata();
  functorch::setVmapFallbackWarningEnabled(warned_);
}

Tensor VmapLevel::enter(const Tensor& batch) const {
  return functorch::makeBatched(batch, 0, level_);
}

bool is_batched(const Tensor& t) { return functorch::isBatchedTensor(t); }

Tensor batch_values(const Tensor& t) {
  const auto* batched = functorch::maybeGetBatchedImpl(t);
  return batched ? batched->value().movedim(batched->bdim(), 0) : t.unsqueeze(0);
}

}  // namespace natgrad::detail
