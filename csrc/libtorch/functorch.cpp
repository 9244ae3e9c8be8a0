#include "libtorch/functorch.h"

#include <torch/torch.h>

#if __has_include(<ATen/functorch/DynamicLayer.h>) && __has_include(<nlohmann/json.hpp>)
#define NATGRAD_HAS_FUNCTORCH 1
#include <ATen/functorch/BatchedFallback.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#endif

namespace natgrad::detail {

using torch::Tensor;

#ifdef NATGRAD_HAS_FUNCTORCH

namespace functorch = at::functorch;

bool has_functorch() { return true; }

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

#else

bool has_functorch() { return false; }

VmapLevel::VmapLevel(int64_t) {
  TORCH_CHECK(false, "natgrad: this build has no functorch; ask has_functorch() first.");
}
VmapLevel::~VmapLevel() = default;
Tensor VmapLevel::enter(const Tensor& batch) const { return batch; }

bool is_batched(const Tensor&) { return false; }
Tensor batch_values(const Tensor& t) { return t.unsqueeze(0); }

#endif

}  // namespace natgrad::detail
