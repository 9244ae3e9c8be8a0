#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>
#include <torch/csrc/autograd/edge.h>

namespace natgrad::detail {

/// Whether a backward pass below these edges costs the calls of its ops more than their arithmetic:
/// many passes at once, by vmap, are then mostly faster than one by one, and else slower.
bool is_small_pass(const torch::autograd::edge_list& roots);

/// How an operator whose products are such passes multiplies many columns.
Columns columns_for(const torch::autograd::edge_list& roots);

}  // namespace natgrad::detail
