#pragma once

#include "detail.h"

#include "graph/term_readers.h"

namespace natgrad::detail {

/// Losses that users write in elementary ops. In each the loss is c·A(z) + b·z: A tells the
/// likelihood, and functions linear in z, which have no curvature, may stand anywhere else in the
/// loss.

/// r² of any residual, as `pow(2)`, `square()` or r * r: Gaussian of variance 1, s = 2c, with the
/// residual for z, or the z of r = z - y.
bool is_square(torch::autograd::Node& node);
TermReading read_square(torch::autograd::Node& node, const torch::Tensor& c);

/// log Σ exp(z) over the classes: Categorical, s = c.
bool is_logsumexp(torch::autograd::Node& node);
TermReading read_logsumexp(torch::autograd::Node& node, const torch::Tensor& c);

/// log(1 + exp(z)), and of -z: Bernoulli, s = c.
bool is_softplus(torch::autograd::Node& node);
TermReading read_softplus(torch::autograd::Node& node, const torch::Tensor& c);

/// log σ(z) and log(1 - σ(z)), also with a small number added or the probability clamped:
/// Bernoulli, s = -c.
bool is_log_of_sigmoid(torch::autograd::Node& node);
TermReading read_log_of_sigmoid(torch::autograd::Node& node, const torch::Tensor& c);

/// exp(z): Poisson, s = c.
bool is_exp(torch::autograd::Node& node);
TermReading read_exp(torch::autograd::Node& node, const torch::Tensor& c);

}  // namespace natgrad::detail
