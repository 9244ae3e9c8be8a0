#include "libtorch/ways_out.h"

#include "graph/unreadable.h"

#include <torch/types.h>

namespace natgrad::detail {
namespace {

struct Advice {
  const char *nodes, *advice;
};

// By the nodes on the path of a loss that was not read; the first that fits.
constexpr Advice kPaths[] = {
    {"BinaryCrossEntropyBackward0",
     "Give binary_cross_entropy the result of torch::sigmoid itself, without clamping it, or use "
     "binary_cross_entropy_with_logits on the logits."},
    {"NllLossBackward0 -> ",
     "nll_loss takes log-probabilities, but not of these outputs: use cross_entropy on the logits, "
     "which needs no clamping and no epsilon."},
    {"SubBackward0 -> MulBackward0 -> LogBackward0",
     "Give poisson_nll_loss the logarithms of the rates, with log_input: natgrad::Poisson."},
    {"LogBackward0 -> SoftmaxBackward0", "Use cross_entropy on the logits."},
    {"LogBackward0 -> AddBackward", "Use cross_entropy on the logits: it needs no epsilon."},
    {"LogBackward0 -> Clamp", "Use cross_entropy on the logits: it needs no clamping."},
    {"SoftmaxBackward0",
     "An entropy, or another function of the probabilities, is no likelihood of the outputs."},
    {"SoftplusBackward0", "Use binary_cross_entropy_with_logits(z, y), or log_sigmoid."},
    {"PowBackward0 -> SubBackward0", "For a squared error use mse_loss(z, y)."},
    {"ExpBackward0",
     "If an output is a log-scale, as log σ, name the distribution: "
     "natgrad::nll(natgrad::LogStdGaussian(z), y); if it is a log-rate, natgrad::Poisson(z)."},
    {"NormBackward",
     "For a triplet, cosine or ranking loss, the marked embeddings are the outputs."},
    {"ClampMinBackward0",
     "A hinge, margin or ranking loss has no curvature in z: name a distribution, as in "
     "natgrad::outputs(natgrad::Gaussian(z)), for the natural gradient with its Fisher matrix."},
};

// Losses of LibTorch with a node of their own.
constexpr Advice kLosses[] = {
    {"SoftMarginLossBackward0",
     "soft_margin_loss: it is binary_cross_entropy_with_logits(z, (y + 1) / 2), the likelihood "
     "natgrad::Bernoulli."},
    {"MultiMarginLossBackward0",
     "multi_margin_loss: it has no curvature in z. Use cross_entropy (natgrad::Categorical), or "
     "give it natgrad::outputs(natgrad::Categorical(z))."},
    {"MultilabelMarginLossBackward0",
     "multilabel_margin_loss: it has no curvature in z. Use multilabel_soft_margin_loss "
     "(natgrad::Bernoulli), or give it natgrad::outputs(natgrad::Bernoulli(z))."},
    {"CtcLossBackward",
     "ctc_loss: it cannot be differentiated twice. Name the outputs' "
     "distribution, z = natgrad::outputs(natgrad::Categorical(logits, 2)), and give the optimizer "
     "curvature(natgrad::Fisher()); then z.log_softmax(2) goes into ctc_loss."},
};

}  // namespace

std::string way_out_of(const std::string& path) {
  for (const auto& [nodes, advice] : kPaths) {
    if (path.find(nodes) != std::string::npos) return advice;
  }
  return "";
}

void check_has_reader(const torch::autograd::Node& node,
                      const std::function<bool()>& reaches_parameter) {
  const auto name = node.name();
  for (const auto& [nodes, advice] : kLosses) {
    NATGRAD_CHECK_READABLE(name.find(nodes) == std::string::npos || !reaches_parameter(),
                           "natgrad: the loss is a ", advice);
  }
}

}  // namespace natgrad::detail
