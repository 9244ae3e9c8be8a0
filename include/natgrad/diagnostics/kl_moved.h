#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <natgrad/graph/loss_graph.h>

namespace natgrad {

/// How far the model's distribution p is from one θ to another, both ways.
struct NATGRAD_EXPORT KLMoved {
  double before_after = 0;  ///< KL(p(before) ‖ p(after))
  double after_before = 0;  ///< KL(p(after) ‖ p(before))
};

/// The divergence itself, in nats an example,
///
///     Σ s KL(r(·|z) ‖ r(·|z')),   s = 1/N,
///
/// summed over the outputs of an example and over the loss's terms, for two graphs of one loss on
/// one batch at two parameters; N is the number of a term's examples (Martens, "New perspectives",
/// section 6). `FisherWeights::OfTheLoss` takes the terms' own weights s instead, as
/// `fisher(graph)` does, so that both are ½ δᵀFδ + O(δ³) for the F of the same weights. Where a
/// spread v and its mean are terms of their own (r²/v + log v), 1/N is the weight of v's, and that
/// of the mean 1/v times it.
///
/// ```cpp
/// const natgrad::LossGraph before(loss_of(x, y), model->parameters());
/// optimizer.step(loss_of(x, y));
/// const auto nats = natgrad::kl_moved(before, {loss_of(x, y), model->parameters()}).before_after;
/// ```
///
/// No pass: the outputs are in the graphs. Outputs that share memory with parameters which a step
/// has written to since are not what they were: `NaturalGradientOptions::measure` and
/// `kl_expansion` look after that.
///
/// Throws `c10::Error` if a term has no distribution, or the terms' families or shapes differ.
NATGRAD_EXPORT KLMoved kl_moved(const LossGraph& before, const LossGraph& after,
                                FisherWeights weights = FisherWeights::Uniform);

}  // namespace natgrad
