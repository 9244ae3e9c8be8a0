#pragma once

#include "detail.h"

#include <natgrad/optim/batch.h>

namespace natgrad::detail {

/// The batches with closures that are called under `PlainAttention`.
Batches with_plain_attention(const Batches& batches);

}  // namespace natgrad::detail
