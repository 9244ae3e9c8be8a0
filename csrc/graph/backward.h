#pragma once

#include "detail.h"
#include "libtorch/own_run.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <functional>
#include <vector>

#include "libtorch/edges.h"

namespace natgrad::detail {

/// Whether the result of a backward pass can be differentiated again.
enum class Pass { Plain, Differentiable };

/// One run of the autograd engine: sends `cotangents` into the graph at `roots` and returns what
/// arrives at `inputs` (undefined where nothing does, or where the edge is not valid). The graph is
/// kept and `.grad` is not touched, that of tensors with `retain_grad()` included.
///
/// An edge names a tensor by the node that consumes its gradient, so that neither end has to be
/// held. Throws `c10::Error` with the way out when the graph has been freed, or when an op on the
/// way cannot be differentiated.
std::vector<torch::Tensor> backward(const torch::autograd::edge_list& roots,
                                    const std::vector<torch::Tensor>& cotangents,
                                    const torch::autograd::edge_list& inputs,
                                    Pass pass = Pass::Plain, Marks marks = Marks::Pass);

/// Runs `read` on the graph's saved tensors, with the same translation of errors.
void with_graph_errors(const std::function<void()>& read);

}  // namespace natgrad::detail
