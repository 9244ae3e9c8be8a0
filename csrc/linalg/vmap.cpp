#include "linalg/vmap.h"

#include <torch/torch.h>
#include "libtorch/out_of_memory.h"

namespace natgrad::detail {

using torch::Tensor;

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

}  // namespace natgrad::detail
