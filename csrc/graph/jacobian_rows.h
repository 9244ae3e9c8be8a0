#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

#include <string>

namespace natgrad::detail {

/// D vectors at each of N examples of one output: u is [D, ...], shaped like z otherwise, with the
/// examples in dimension 0 of z; N = 1 where they are not.
struct OutputDirections {
  size_t output = 0;
  int64_t examples = 0;
  torch::Tensor u;
  int64_t rows() const { return u.size(0) * examples; }
};

/// What they pull back to, row by row, into `rows` of [D·N, P]: row d·N + i is Jᵢᵀu_di.
///
/// Where layers cover a parameter, D backward passes tell the rows of all examples, from the
/// layers' inputs and output gradients (layer_factors.h), also where a weight is used several times
/// or inside derivatives by inputs; where their ops do not show that rows are examples, D more. Of
/// the K numbers in parameters that no layer covers: K products J v or D·N backward passes,
/// whichever are fewer, many at once by vmap.
///
/// Answers how, in words.
std::string write_jacobian_rows(const torch::Tensor& rows, const OutputDirections& directions,
                                const LossGraph& graph);

}  // namespace natgrad::detail
