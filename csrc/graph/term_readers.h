#pragma once

#include "detail.h"

#include <natgrad/likelihoods/likelihood.h>
#include <torch/csrc/autograd/function.h>

#include <memory>
#include <optional>

namespace natgrad::detail {

/// What a recognised node says of its term: loss = Σ sᵢ·(-log r(yᵢ|zᵢ)) + const, for given y.
struct TermReading {
  torch::autograd::Edge outputs;                 ///< where z's gradient goes
  std::shared_ptr<const Likelihood> likelihood;  ///< r(·|z) at the outputs of this pass
  torch::Tensor weights;                         ///< s, broadcastable to z
  /// Where no tensor of the graph is z, as in a loss of the difference of two outputs: ∂(term)/∂z
  /// as a function of a leaf that stands for z, and that leaf's edge. Else undefined.
  torch::Tensor gradient = {};
  torch::autograd::Edge argument = {};
  /// Whether functions linear in z elsewhere in the loss belong to the term.
  bool has_linear_part = false;
  double normaliser = 0;  ///< of a second term: the share b/s of the linear part that it needs
  bool is_normalised_by_log = false;  ///< whether that part is b·log z
};

/// Whether the node is the likelihood of a term that `read_term` understands.
bool is_likelihood_node(torch::autograd::Node& node);

/// Whether it is one that users write in elementary ops.
bool is_hand_written(torch::autograd::Node& node);

/// Reads a recognised node, given c = ∂loss/∂(its output).
///  - LogSoftmax, or Log over a Softmax: Categorical, s = -Σ_j c_j, whatever linear function of
///    log p follows (indices, probabilities, class weights, ignored or smoothed targets, every
///    reduction);
///  - LogSigmoid of z or -z: Bernoulli, s = -c, whatever linear function follows
///    (multilabel_soft_margin_loss);
///  - BinaryCrossEntropyWithLogits: Bernoulli, s = c·weight·(1 + (pos_weight - 1) y), over the
///    count if its reduction is the mean; BinaryCrossEntropy over a Sigmoid alike;
///  - MseLoss, in either argument order: Gaussian of variance 1, s = 2c, over the count likewise;
///    HuberLoss and SmoothL1Loss: Huber; Abs (l1_loss): Laplace. If both arguments
///    require a gradient, z is their difference;
///  - exp(z) - y z (poisson_nll_loss with log_input): Poisson, s = c;
///  - what users write in elementary ops, squares, log Σ exp, softplus, log of a sigmoid, exp
///    (hand_written_terms.h);
///  - natgrad::nll: the family that the user named, s = c.
///
/// Throws `c10::Error` if the loss broadcast its arguments, if its targets require a gradient where
/// they cannot, if outputs were changed in place since, or if the graph was freed.
TermReading read_term(torch::autograd::Node& node, const torch::Tensor& coefficient);

/// Whether the recognised node is two terms.
bool has_second_term(torch::autograd::Node& node);

/// The second term of a node that is two, as a Gaussian's mean and spread are; nothing for others.
std::optional<TermReading> read_second_term(torch::autograd::Node& node,
                                            const torch::Tensor& coefficient);

/// The z of a recognised node to which functions linear in z elsewhere in the loss belong.
torch::autograd::edge_list natural_outputs_of(torch::autograd::Node& node);

/// Outputs that parameterise a distribution.
struct NamedOutputs {
  torch::autograd::Edge outputs;
  std::shared_ptr<const Likelihood> likelihood;
};

/// What a softmax or a sigmoid takes, where the node is one or a loss that holds one; else nothing.
std::optional<NamedOutputs> named_outputs(torch::autograd::Node& node);

/// The names of the losses above, for messages.
std::string readable_losses();

}  // namespace natgrad::detail
