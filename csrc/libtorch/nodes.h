#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

#include <optional>
#include <utility>
#include <vector>

namespace natgrad::detail {

/// The ops of LibTorch whose nodes natgrad reads.
enum class Op {
  Other,  ///< any other node
  Abs,
  Add,
  Addmm,
  BatchNorm,
  BinaryCrossEntropy,
  BinaryCrossEntropyWithLogits,
  Clamp,
  ClampMin,
  Convolution,
  Div,
  Embedding,
  EmbeddingBag,
  Exp,
  Expand,
  GroupNorm,
  HuberLoss,
  Index,  ///< by tensors: a[index]
  IndexSelect,
  LayerNorm,
  Log,
  LogSigmoid,
  LogSoftmax,
  Logsumexp,
  Mm,
  MseLoss,
  Mul,
  Neg,
  Pow,  ///< with a number as exponent
  Sigmoid,
  Slice,
  SmoothL1Loss,
  Softmax,
  Softplus,
  Sub,
};

/// Which op left the node in the graph, by the node's type.
Op op_of(const torch::autograd::Node& node);

// ---- What the nodes of these ops saved. Another node is undefined behaviour. ----

/// p or log p, and the dimension of the classes: of Softmax, LogSoftmax.
struct SavedSoftmax {
  torch::Tensor result;
  int64_t dim;
};
SavedSoftmax saved_softmax(torch::autograd::Node& node);

/// The arguments of BinaryCrossEntropy, BinaryCrossEntropyWithLogits, MseLoss, HuberLoss and
/// SmoothL1Loss, whose edges 0 and 1 are those of `self` and `target`.
struct SavedLoss {
  torch::Tensor self, target;
  torch::Tensor weight = {}, pos_weight = {};  ///< of the binary cross-entropies; may be undefined
  int64_t reduction;
  double scale = 0;  ///< HuberLoss: δ; SmoothL1Loss: β
};
SavedLoss saved_loss(torch::autograd::Node& node);

/// Of Exp, Sigmoid.
torch::Tensor saved_result(torch::autograd::Node& node);
/// Of Abs, Log, LogSigmoid, Logsumexp, Pow, Softplus.
torch::Tensor saved_input(torch::autograd::Node& node);

/// α of Add and Sub, input 0 ± α · input 1.
double alpha_of(const torch::autograd::Node& node);

/// Its exponent.
double exponent_of_pow(const torch::autograd::Node& node);
/// The dimensions over which Logsumexp sums, and whether it keeps them.
struct LogsumexpDimensions {
  std::vector<int64_t> dims;
  bool keeps;
};
LogsumexpDimensions dimensions_of(const torch::autograd::Node& node);
/// β of Softplus, log(1 + exp(βz))/β.
double beta_of_softplus(const torch::autograd::Node& node);
/// The number below which Clamp and ClampMin raise their input; none where it is no number.
std::optional<double> least_of_clamp(const torch::autograd::Node& node);
/// What Mul and Div were given, in order; undefined where the other one needs no gradient.
std::pair<torch::Tensor, torch::Tensor> saved_factors(torch::autograd::Node& node);

/// Of mul and div by a number, what their input is multiplied with; nothing of other nodes.
std::optional<double> factor_of(const torch::autograd::Node& node);

/// The numbers of Addmm, β · input 0 + α · (input 1)(input 2).
struct AddmmScales {
  double alpha, beta;
};
AddmmScales scales_of_addmm(const torch::autograd::Node& node);
/// The left matrix of Mm, (input 0)(input 1), and of Addmm; defined if the right one requires a
/// gradient.
torch::Tensor saved_left(torch::autograd::Node& node);

/// One number for each spatial dimension.
struct ConvolutionGeometry {
  std::vector<int64_t> stride, padding, dilation;
  int64_t groups = 1;
  bool transposed = false;
};
/// Of Convolution, whose inputs are a, W and b.
ConvolutionGeometry geometry_of(torch::autograd::Node& node);
/// a of Convolution; defined if W requires a gradient.
torch::Tensor saved_image(torch::autograd::Node& node);

/// The normalised input a of BatchNorm by running statistics, GroupNorm and LayerNorm, whose result
/// is a ∘ (input 1) + input 2: along dimension 1 for the first two, along the last dimensions for
/// LayerNorm. Undefined where the node did not keep what it takes.
torch::Tensor normalised_input(torch::autograd::Node& node);
/// Over how many of the last dimensions a LayerNorm takes its statistics.
size_t normalised_dimensions(const torch::autograd::Node& node);

// ---- Kinds of nodes ----

/// Whether the node swaps the two dimensions of a matrix: t(), transpose, permute.
bool is_matrix_transpose(torch::autograd::Node& node);
/// Whether it only casts, or moves to another device.
bool is_cast(const torch::autograd::Node& node);
/// Whether it keeps all elements in their order: a view of another shape.
bool is_reshape(const torch::autograd::Node& node);
/// Whether it is a sum or a mean that leaves dimension 0 alone.
bool reduces_within_rows(const torch::autograd::Node& node);
/// Whether it normalises by the statistics of its own batch.
bool is_batch_normalisation_in_training(const torch::autograd::Node& node);

}  // namespace natgrad::detail
