#include "libtorch/ways_out.h"

#include <torch/types.h>

#include <algorithm>
#include <string_view>

namespace natgrad::detail {
namespace {

struct Advice {
  std::string_view nodes;
  const char* advice;
};

constexpr auto kNothingBetter =
    "No better reading of such a loss is known than Unread::Substitute, the default.";
constexpr auto kHinge =
    "For a hinge loss of scores for labels of ±1 name their distribution, "
    "natgrad::outputs(natgrad::Bernoulli(z)); of margins between several outputs no better reading "
    "is known than Unread::Substitute, the default.";

// By the nodes on the path of a loss that was not read, above the network; the first that fits.
// "A*B": A, and further down B.
constexpr Advice kPaths[] = {
    {"BinaryCrossEntropyBackward0",
     "Use binary_cross_entropy_with_logits on the logits, which needs no clamping and no epsilon, "
     "or give binary_cross_entropy the result of torch::sigmoid itself."},
    {"NllLossBackward0 -> ",
     "nll_loss takes log-probabilities, but not of these outputs: use cross_entropy on the logits, "
     "which needs no clamping and no epsilon."},
    {"LogBackward0*SigmoidBackward0",
     "Use binary_cross_entropy_with_logits on the logits: it needs no clamping and no epsilon."},
    {"LogBackward0*SoftmaxBackward0",
     "Use cross_entropy on the logits: it needs no clamping and no epsilon. For an entropy name "
     "their distribution, natgrad::outputs(natgrad::Categorical(z))."},
    {"SoftmaxBackward0",
     "For an entropy, or another function of the probabilities, name the logits' distribution, "
     "natgrad::outputs(natgrad::Categorical(z))."},
    {"SoftplusBackward0", "Write torch::softplus(beta * z) / beta for torch::softplus(z, beta)."},
    {"NormBackward", kNothingBetter},
    {"CdistBackward", kNothingBetter},
    {"ClampMinBackward0", kHinge},
    {"ReluBackward0", kHinge},
    {"MaximumBackward0", kNothingBetter},
    {"SigmoidBackward0", kNothingBetter},
};

// Losses of LibTorch with a node of their own.
constexpr Advice kLosses[] = {
    {"SoftMarginLossBackward0",
     "soft_margin_loss: it is binary_cross_entropy_with_logits(z, (y + 1) / 2), the likelihood "
     "natgrad::Bernoulli."},
    {"MultiMarginLossBackward0",
     "multi_margin_loss, which has no curvature in z. Name the scores' distribution, "
     "natgrad::outputs(natgrad::Categorical(z)), or use cross_entropy."},
    {"MultilabelMarginLossBackward0",
     "multilabel_margin_loss, which has no curvature in z. Use multilabel_soft_margin_loss, the "
     "likelihood natgrad::Bernoulli."},
    {"CtcLossBackward",
     "ctc_loss, which cannot be differentiated twice. No better reading of it is known than "
     "Unread::Substitute, the default."},
};

// By part of the name of an op whose backward has no derivative.
constexpr Advice kOps[] = {
    {"_scaled_dot_product_",
     "It is attention computed by one op. step(closure) has it computed by several by itself; for "
     "step(loss) call at::globalContext().setSDPUseFlash(false) before the forward pass (on a GPU "
     "setSDPUseMemEfficient(false) and setSDPUseCuDNN(false) too)."},
    {"_ctc_loss",
     "For ctc_loss take the default curvature, or name the outputs' distribution, z = "
     "natgrad::outputs(natgrad::Categorical("
     "logits, 2)), and give the optimizer curvature(natgrad::Fisher()); then z.log_softmax(2) goes "
     "into ctc_loss."},
    {"_embedding_bag",
     "For an EmbeddingBag of mode mean or sum take an Embedding, embedding->forward(words).mean(1) "
     "or sum(1) with words of [N, length]."},
    {"_cdist", "For torch::cdist(a, b) write (a.unsqueeze(1) - b.unsqueeze(0)).norm(2, 2)."},
};

constexpr std::string_view kOwnOp =
    "Write it with other ops; or, if it is an op of the loss, take "
    "curvature(natgrad::FisherOrGaussNewton()) and name the outputs' distribution, as in "
    "natgrad::outputs(natgrad::Categorical(z)): its Fisher matrix needs no second derivative.";

// The last ops of a network, as a rule.
constexpr std::string_view kLayers[] = {"AddmmBackward",
                                        "MmBackward",
                                        "AddmvBackward",
                                        "MvBackward",
                                        "BmmBackward",
                                        "BaddbmmBackward",
                                        "ConvolutionBackward",
                                        "EmbeddingBackward",
                                        "EmbeddingBagBackward",
                                        "NativeLayerNormBackward",
                                        "NativeBatchNorm",
                                        "NativeGroupNormBackward",
                                        "CudnnBatchNormBackward",
                                        "ScaledDotProduct",
                                        "MkldnnRnnLayerBackward",
                                        "CudnnRnnBackward",
                                        "DifferentiableGraph"};

/// Whether the parts of `pattern` between asterisks are found in `path` in this order.
bool fits(std::string_view pattern, std::string_view path) {
  while (true) {
    const auto end = pattern.find('*');
    const auto part = pattern.substr(0, end);
    const auto at = path.find(part);
    if (at == std::string_view::npos) return false;
    if (end == std::string_view::npos) return true;
    path.remove_prefix(at + part.size());
    pattern.remove_prefix(end + 1);
  }
}

template <size_t N>
std::string first_fitting(const Advice (&table)[N], std::string_view text) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const Advice& advice) { return fits(advice.nodes, text); });
  return found == std::end(table) ? "" : found->advice;
}

bool is_layer(std::string_view node) {
  return std::any_of(std::begin(kLayers), std::end(kLayers),
                     [&](std::string_view layer) { return node.starts_with(layer); });
}

}  // namespace

std::string above_network(const std::string& path) {
  constexpr std::string_view kArrow = " -> ";
  for (size_t start = 0; start < path.size();) {
    const auto end = path.find(kArrow, start);
    if (end == std::string::npos) break;
    if (is_layer(std::string_view(path).substr(start))) return path.substr(0, end) + " -> ...";
    start = end + kArrow.size();
  }
  return path;
}

std::string way_out_of(const std::string& path) {
  return first_fitting(kPaths, above_network(path));
}

std::string way_out_of(Op part) {
  switch (part) {
    case Op::BinaryCrossEntropy:
    case Op::BinaryCrossEntropyWithLogits:
    case Op::LogSigmoid:
      return "Name the logits' distribution, natgrad::outputs(natgrad::Bernoulli(z)), and write "
             "the loss as a function of that.";
    case Op::LogSoftmax:
      return "Name the logits' distribution, natgrad::outputs(natgrad::Categorical(z)), and write "
             "the loss as a function of that.";
    case Op::Logsumexp:
      return "Over a classifier's logits name their distribution, "
             "natgrad::outputs(natgrad::Categorical(z)); of a mixture's density no better reading "
             "is known than Unread::Substitute, the default.";
    case Op::Softplus:
      return "If it makes a scale or a rate positive, take a likelihood of its logarithm, "
             "natgrad::nll(natgrad::LogStdGaussian(torch::cat({mean, sigma.log()}, 1)), y) or "
             "natgrad::nll(natgrad::Poisson(rate.log()), y).";
    case Op::Exp:
      return "If it makes a scale or a rate positive, name the likelihood, "
             "natgrad::nll(natgrad::LogStdGaussian(z), y) or natgrad::nll(natgrad::Poisson(z), y); "
             "if it is the ratio of a policy's densities, the policy, "
             "natgrad::outputs(natgrad::Categorical(z)) of choices, "
             "natgrad::outputs(natgrad::LogStdGaussian(z)) or "
             "natgrad::outputs(natgrad::Gaussian(mean, variance)) of real actions; of a kernel no "
             "better reading is known than Unread::Substitute, the default.";
    case Op::MseLoss:
    case Op::Mul:
    case Op::Pow:
      return "In a loss of your own mark the outputs, z = natgrad::outputs(model->forward(x)), and "
             "its own Hessian is taken there if it is convex; in the log-density of a Gaussian "
             "policy name the policy, "
             "natgrad::outputs(natgrad::LogStdGaussian(z)) or "
             "natgrad::outputs(natgrad::Gaussian(mean, variance)); with σ = exp(s) or a softplus "
             "take natgrad::nll(natgrad::LogStdGaussian(torch::cat({mean, sigma.log()}, 1)), y); "
             "of norms and distances no better reading is known than Unread::Substitute, the "
             "default.";
    default:
      return "If its outputs are logits, name their distribution, as in "
             "natgrad::outputs(natgrad::Categorical(z)) or "
             "natgrad::outputs(natgrad::Bernoulli(z)), "
             "and write the loss as a function of that.";
  }
}

std::string way_out_of_error(const std::string& what) {
  const auto advice = first_fitting(kOps, what);
  return advice.empty() ? std::string(kOwnOp) : advice;
}

std::string loss_without_reader(const torch::autograd::Node& node) {
  return first_fitting(kLosses, node.name());
}

}  // namespace natgrad::detail
