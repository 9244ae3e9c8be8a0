#pragma once

#include <natgrad/likelihoods/likelihood.h>
#include <torch/csrc/autograd/function.h>

#include <memory>

namespace natgrad {

/// What a recognised node says of its term: loss = Σ sᵢ·(-log r(yᵢ|zᵢ)) + const, for given y.
struct TermReading {
  torch::autograd::Edge outputs;                 ///< where z's gradient goes
  std::shared_ptr<const Likelihood> likelihood;  ///< r(·|z) at the outputs of this pass
  torch::Tensor weights;                         ///< s, broadcastable to z
};

/// Whether the node is the likelihood of a term that `read_term` understands.
bool is_likelihood_node(const torch::autograd::Node& node);

/// Reads a recognised node, given c = ∂loss/∂(its output).
///  - LogSoftmax: Categorical, s = -Σ_j c_j, whatever linear function of log p follows (indices,
///    probabilities, class weights, ignored or smoothed targets, every reduction);
///  - BinaryCrossEntropyWithLogits: Bernoulli, s = c·weight·(1 + (pos_weight - 1) y), over the
///  count if
///    its reduction is the mean;
///  - MseLoss, in either argument order: Gaussian of variance 1, s = 2c, over the count likewise;
///  - natgrad::nll: the family that the user named, s = c.
TermReading read_term(torch::autograd::Node& node, const torch::Tensor& coefficient);

/// The names of the losses above, for messages.
std::string readable_losses();

}  // namespace natgrad
