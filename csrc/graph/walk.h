#pragma once

#include "detail.h"

#include <natgrad/likelihoods/likelihood.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <memory>
#include <unordered_set>
#include <vector>

namespace natgrad::detail {

enum class PartKind {
  Term,     ///< a recognised node
  Linear,   ///< the z of a term, where functions linear in z reach it past the term
  Penalty,  ///< what depends on parameters alone
  Outputs   ///< outputs of a loss of the user's own, marked or (see `Substitution`) found
};

/// Where the loss meets what it is made of, upper parts first: a part never lies below a later one.
struct LossParts {
  std::vector<torch::autograd::Edge> edges;
  std::vector<PartKind> kinds;
  /// Of outputs: the distribution that they parameterise, where it is known.
  std::vector<std::shared_ptr<const Likelihood>> distributions;
  /// Whether the kinds of the ops above tell that the loss is linear in them.
  bool is_linear_by_kind = false;
};

/// Walks down from the loss. Every path stops at its first recognised node: a loss of LibTorch that
/// has a reader (see term_readers.h), `natgrad::nll`, `natgrad::outputs` or `natgrad::penalty`;
/// what lies below is network. A recognised node from which parameters are reached through
/// `natgrad::outputs` only is a part of the user's own loss and is passed.
///
/// A path that comes to the z of a term of logsumexp, softplus and the like past the term (as in
/// logsumexp(z) - z.gather(y)) ends there.
///
/// A path that reaches a parameter past all terms otherwise is a penalty if only elementwise
/// functions, reductions and views depend on parameters alone there, `mse_loss(w, w0)` and its kin
/// among them; it is given by the edge where it joins the rest of the loss.
///
/// Throws `UnreadableLoss`, naming the nodes on the way and the way out, if the loss reaches a
/// parameter past all terms otherwise, or if it reaches no term; `c10::Error` if a term's outputs
/// hold no elements, or meet targets that broadcast them (broadcasts.h).
LossParts find_parts(const torch::Tensor& loss, const std::vector<torch::Tensor>& parameters);

/// How a loss that cannot be read is taken apart all the same: as a function of outputs of the
/// network that the user did not mark.
struct Substitution {
  /// Recognised nodes that the loss is not linear in, which are no terms.
  std::unordered_set<const torch::autograd::Node*> nonlinear;
  /// Whether a softmax or sigmoid, alone or within a loss, names the distribution of what goes into
  /// it; else it is passed.
  bool names_distributions = true;
};

/// The same of such a loss, of which LibTorch's own losses are terms, and none that is written in
/// elementary ops (hand_written_terms.h): a path that meets neither term nor mark ends at the
/// results of the first op with parameters of its own (a linear layer, a convolution, an
/// embedding), or at what a softmax or sigmoid takes, and these are outputs. Distributions are
/// named at all outputs or none.
LossParts find_substitute_parts(const torch::Tensor& loss,
                                const std::vector<torch::Tensor>& parameters,
                                Substitution substitution);

/// Which of `nodes` lie below `edge` (or are its node), as flags.
std::vector<bool> reached_from(const torch::autograd::Edge& edge,
                               const std::vector<torch::autograd::Edge>& nodes);

/// Throws `c10::Error` unless `loss` is one floating-point number with a graph.
void check_loss(const torch::Tensor& loss);

}  // namespace natgrad::detail
