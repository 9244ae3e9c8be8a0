#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <vector>

namespace natgrad::detail {

/// Where the loss meets what it is made of, upper parts first: a part never lies below a later one.
struct LossParts {
  std::vector<torch::autograd::Edge> edges;  ///< terms and penalties
  std::vector<bool> is_penalty;
  /// Whether the kinds of the ops above tell that the loss is linear in them.
  bool is_linear_by_kind = false;
};

/// Walks down from the loss. Every path stops at its first recognised node: a loss of LibTorch that
/// has a reader (see term_readers.h), `natgrad::nll`, `natgrad::outputs` or `natgrad::penalty`;
/// what lies below is network. A recognised node from which parameters are reached through
/// `natgrad::outputs` only is a part of the user's own loss and is passed.
///
/// A path that reaches a parameter past all terms is a penalty if only elementwise functions,
/// reductions and views depend on parameters alone there, `mse_loss(w, w0)` and its kin among them;
/// it is given by the edge where it joins the rest of the loss.
///
/// Throws `c10::Error`, naming the nodes on the way and the way out, if the loss reaches a
/// parameter past all terms otherwise, if it reaches no term, or if a term's outputs hold no
/// elements.
LossParts find_parts(const torch::Tensor& loss, const std::vector<torch::Tensor>& parameters);

/// Which of `nodes` lie below `edge` (or are its node), as flags.
std::vector<bool> reached_from(const torch::autograd::Edge& edge,
                               const std::vector<torch::autograd::Edge>& nodes);

/// Throws `c10::Error` unless `loss` is one floating-point number with a graph.
void check_loss(const torch::Tensor& loss);

}  // namespace natgrad::detail
