#include "optim/attention.h"

#include <torch/types.h>

#include "libtorch/fused_attention.h"

namespace natgrad::detail {
namespace {

Batch attending_plainly(const Batch& batch) {
  if (!batch.is_given()) return batch;
  return {batch.chunks, [loss = batch.loss](int64_t chunk) {
            const PlainAttention plain;
            return loss(chunk);
          }};
}

}  // namespace

Batches with_plain_attention(const Batches& batches) {
  return {attending_plainly(batches.gradient), attending_plainly(batches.curvature),
          attending_plainly(batches.trial)};
}

}  // namespace natgrad::detail
