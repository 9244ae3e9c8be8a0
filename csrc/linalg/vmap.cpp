#include "linalg/vmap.h"

#include <torch/torch.h>
#include "linalg/out_of_memory.h"

// The headers of functorch include nlohmann's JSON, which LibTorch does not carry.
#if __has_include(<ATen/functorch/DynamicLayer.h>) && __has_include(<nlohmann/json.hpp>)
#define NATGRAD_HAS_FUNCTORCH 1
#include <ATen/functorch/BatchedFallback.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#endif

namespace natgrad::detail {

using torch::Tensor;

#ifdef NATGRAD_HAS_FUNCTORCH

namespace {

namespace functorch = at::functorch;

/// A vmap level that lives as long as this object; LibTorch does not warn of slow ops meanwhile.
class VmapLevel {
 public:
  explicit VmapLevel(int64_t batch_size)
      : warned_(functorch::isVmapFallbackWarningEnabled()),
        level_(functorch::initAndPushDynamicLayer(functorch::TransformType::Vmap,
                                                  c10::SymInt(batch_size),
                                                  functorch::RandomnessType::Error)) {
    functorch::setVmapFallbackWarningEnabled(false);
  }
  ~VmapLevel() {
    functorch::popDynamicLayerAndDeleteMetadata();
    functorch::setVmapFallbackWarningEnabled(warned_);
  }
  VmapLevel(const VmapLevel&) = delete;
  VmapLevel& operator=(const VmapLevel&) = delete;

  Tensor enter(const Tensor& batch) const { return functorch::makeBatched(batch, 0, level_); }

 private:
  bool warned_;
  int64_t level_;
};

}  // namespace

bool is_batched(const Tensor& t) { return functorch::isBatchedTensor(t); }

Tensor batch_values(const Tensor& t) {
  const auto* batched = functorch::maybeGetBatchedImpl(t);
  return batched ? batched->value().movedim(batched->bdim(), 0) : t.unsqueeze(0);
}

std::optional<Tensor> vmap(const TensorFunction& f, const std::vector<Tensor>& batches) {
  const int64_t count = batches.front().size(0);
  if (count == 0) return std::nullopt;
  try {
    Tensor values;
    {
      const VmapLevel level(count);
      std::vector<Tensor> slices;
      for (const auto& batch : batches) slices.push_back(level.enter(batch));
      values = batch_values(f(slices));
    }
    if (values.size(0) == count) return values.contiguous();
    auto sizes = values.sizes().vec();
    sizes[0] = count;  // a result that does not depend on the slice
    return values.expand(sizes).contiguous();
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw;
    return std::nullopt;
  }
}

#else

bool is_batched(const Tensor&) { return false; }
Tensor batch_values(const Tensor& t) { return t.unsqueeze(0); }
std::optional<Tensor> vmap(const TensorFunction&, const std::vector<Tensor>&) {
  return std::nullopt;
}

#endif

}  // namespace natgrad::detail
