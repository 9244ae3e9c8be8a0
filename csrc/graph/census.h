#pragma once

#include <natgrad/linalg/linear_operator.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>

#include <vector>

#include "detail.h"

namespace natgrad::detail {

/// What one walk over the graph below some roots meets. A LossGraph takes it twice and keeps it: of
/// the loss, and of the network below its outputs. The nodes live as long as the roots do.
struct Census {
  explicit Census(torch::autograd::edge_list roots);

  torch::autograd::edge_list roots;
  std::vector<torch::autograd::Node*> nodes;  ///< each once, the first root's own first
  int64_t largest_tensor = 0;                 ///< numbers in it
  /// `rounding_through_network` of the lowest precision: mixed precision and autocast compute
  /// there.
  double rounding = 0;

  /// Whether a backward pass costs the calls of its ops more than their arithmetic: many passes at
  /// once, by vmap, are then mostly faster than one by one, and else slower.
  bool is_small_pass() const;
  /// How an operator whose products are such passes multiplies many columns.
  Columns columns() const { return is_small_pass() ? Columns::Vmapped : Columns::OneByOne; }
};

}  // namespace natgrad::detail
