#pragma once

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <vector>

#include "detail.h"
#include "graph/backward.h"
#include "graph/walk.h"

namespace natgrad::detail {

/// cₖ = ∂loss/∂(output of the node of part k), differentiable.
struct Coefficients {
  std::vector<torch::Tensor> received;  ///< as the engine brings them
  std::vector<torch::Tensor> own;  ///< without what other terms send down through their networks
};

/// Of the loss's parts. A part that lies below others gets, besides its own, what they send it:
/// that is subtracted, but where a mark of outputs holds it back. By a plain pass they are not
/// differentiable.
Coefficients coefficients_of(const torch::Tensor& loss, const LossParts& parts,
                             Pass pass = Pass::Differentiable);

/// The parts in which the loss is not linear: on whose values the coefficients of terms, or those
/// of penalties, depend. That a term's coefficient depends on a penalty, as in exp(-s)·loss + s, is
/// allowed, and the other way round: what the curvature leaves out then is the mixed derivative.
/// By the derivative of one random combination.
std::vector<size_t> nonlinear_parts(const LossParts& parts, const Coefficients& coefficients,
                                    at::Generator generator);

/// Throws `UnreadableLoss` if there are any.
void check_linearity(const LossParts& parts, const Coefficients& coefficients,
                     at::Generator generator);

}  // namespace natgrad::detail
