#pragma once

#include <natgrad/graph/loss_graph.h>
#include <torch/csrc/autograd/edge.h>

#include <functional>
#include <string>
#include <vector>

#include "detail.h"
#include "graph/unreadable.h"

namespace natgrad::detail {

/// What a loss's graph says.
struct Reading {
  torch::autograd::edge_list outputs;  ///< z; terms with the same z share one
  std::vector<LossTerm> terms;
  torch::autograd::edge_list arguments;  ///< by term: z's edge, or a leaf that stands for z
  /// Why the loss cannot be read, where it is taken as a function of outputs that the user did not
  /// mark (see `Substitution`); else empty.
  std::string substitutes = {};
  /// Whether the terms' gradients are differentiable, so that the loss has a Hessian in z.
  bool has_hessian = true;
  struct {
    torch::autograd::edge_list edges;  ///< where they join the loss
    std::vector<torch::Tensor> coefficients;
  } penalties;
};

/// Reads the loss (see walk.h), or says why it cannot be read. One run of the engine from the loss
/// to its terms. Where the kinds of the ops do not tell that the loss is linear in them, that run
/// is differentiable, and one more checks it, at a random probe: only then is `generator` called.
Readable<Reading> read_loss(const torch::Tensor& loss, const std::vector<torch::Tensor>& parameters,
                            const std::function<at::Generator()>& generator);

/// The reading of a loss that was refused, as a function of outputs that it finds by itself; or the
/// same refusal, where there are none.
Readable<Reading> read_substitute(const torch::Tensor& loss,
                                  const std::vector<torch::Tensor>& parameters,
                                  const std::function<at::Generator()>& generator,
                                  const Refusal& refusal);

/// As `LossGraph::multiply_loss_hessian`. Throws why, where there is none.
std::vector<torch::Tensor> multiply_loss_hessian(const Reading& reading,
                                                 const std::vector<torch::Tensor>& v);

/// The part of that which the k-th term makes, shaped like its z; undefined where it vanishes. Of
/// the user's own loss, all that it makes at that z.
torch::Tensor multiply_term_hessian(const Reading& reading, size_t k,
                                    const std::vector<torch::Tensor>& v);

/// Whether a loss that is NaN comes from the data, as far as its graph tells: outputs of some
/// examples are finite and those of others are not, or the outputs are and a term's slope, which
/// holds the targets, is not. Else it comes from the parameters: their penalties, outputs that are
/// all no numbers, a loss of the user's own.
Readable<bool> comes_from_data(const torch::Tensor& loss,
                               const std::vector<torch::Tensor>& parameters);

}  // namespace natgrad::detail
