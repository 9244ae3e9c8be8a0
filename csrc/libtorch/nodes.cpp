#include "libtorch/nodes.h"

#include <torch/csrc/autograd/generated/Functions.h>

#include <algorithm>
#include <typeindex>
#include <unordered_map>

#include "libtorch/edges.h"
#include "libtorch/saved.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Node;
namespace generated = torch::autograd::generated;

namespace {

template <class Generated>
bool is(const Node& node) {
  return dynamic_cast<const Generated*>(&node) != nullptr;
}

/// The node as LibTorch's own, whose type its op tells.
template <class Generated>
auto& as(Node& node) {
  return static_cast<Generated&>(node);
}
template <class Generated>
auto& as(const Node& node) {
  return static_cast<const Generated&>(node);
}

}  // namespace

Op op_of(const Node& node) {
  static const std::unordered_map<std::type_index, Op> ops = {
      {typeid(generated::AbsBackward0), Op::Abs},
      {typeid(generated::AddBackward0), Op::Add},
      {typeid(generated::AddmmBackward0), Op::Addmm},
      {typeid(generated::CudnnBatchNormBackward0), Op::BatchNorm},
      {typeid(generated::NativeBatchNormBackward0), Op::BatchNorm},
      {typeid(generated::NativeGroupNormBackward0), Op::GroupNorm},
      {typeid(generated::NativeLayerNormBackward0), Op::LayerNorm},
      {typeid(generated::BinaryCrossEntropyBackward0), Op::BinaryCrossEntropy},
      {typeid(generated::BinaryCrossEntropyWithLogitsBackward0), Op::BinaryCrossEntropyWithLogits},
      {typeid(generated::ClampBackward1), Op::Clamp},
      {typeid(generated::ClampMinBackward0), Op::ClampMin},
      {typeid(generated::ConvolutionBackward0), Op::Convolution},
      {typeid(generated::DivBackward0), Op::Div},
      {typeid(generated::EmbeddingBackward0), Op::Embedding},
      {typeid(generated::EmbeddingBagBackward0), Op::EmbeddingBag},
      {typeid(generated::ExpBackward0), Op::Exp},
      {typeid(generated::ExpandBackward0), Op::Expand},
      {typeid(generated::HuberLossBackward0), Op::HuberLoss},
      {typeid(generated::IndexBackward0), Op::Index},
      {typeid(generated::IndexSelectBackward0), Op::IndexSelect},
      {typeid(generated::LogBackward0), Op::Log},
      {typeid(generated::LogSigmoidBackward0), Op::LogSigmoid},
      {typeid(generated::LogSoftmaxBackward0), Op::LogSoftmax},
      {typeid(generated::LogsumexpBackward0), Op::Logsumexp},
      {typeid(generated::MmBackward0), Op::Mm},
      {typeid(generated::MseLossBackward0), Op::MseLoss},
      {typeid(generated::MulBackward0), Op::Mul},
      {typeid(generated::NegBackward0), Op::Neg},
      {typeid(generated::PowBackward0), Op::Pow},
      {typeid(generated::SigmoidBackward0), Op::Sigmoid},
      {typeid(generated::SliceBackward0), Op::Slice},
      {typeid(generated::SmoothL1LossBackward0), Op::SmoothL1Loss},
      {typeid(generated::SoftmaxBackward0), Op::Softmax},
      {typeid(generated::SoftplusBackward0), Op::Softplus},
      {typeid(generated::SubBackward0), Op::Sub},
  };
  const auto found = ops.find(typeid(node));
  return found == ops.end() ? Op::Other : found->second;
}

// ---- Losses ----

SavedSoftmax saved_softmax(Node& node) {
  if (op_of(node) == Op::LogSoftmax) {
    const auto& log_softmax = as<generated::LogSoftmaxBackward0>(node);
    return {saved(log_softmax.result_, node), log_softmax.dim};
  }
  const auto& softmax = as<generated::SoftmaxBackward0>(node);
  return {saved(softmax.result_, node), softmax.dim};
}

namespace {

template <class Loss>
SavedLoss arguments_of(Node& node) {
  const auto& loss = as<Loss>(node);
  SavedLoss arguments{.self = saved(loss.self_, node),
                      .target = saved(loss.target_, node),
                      .reduction = loss.reduction};
  if constexpr (requires { loss.weight_; }) arguments.weight = saved(loss.weight_, node);
  if constexpr (requires { loss.pos_weight_; }) {
    arguments.pos_weight = saved(loss.pos_weight_, node);
  }
  if constexpr (requires { loss.delta; }) arguments.scale = loss.delta;
  if constexpr (requires { loss.beta; }) arguments.scale = loss.beta;
  return arguments;
}

}  // namespace

SavedLoss saved_loss(Node& node) {
  switch (op_of(node)) {
    case Op::BinaryCrossEntropy:
      return arguments_of<generated::BinaryCrossEntropyBackward0>(node);
    case Op::BinaryCrossEntropyWithLogits:
      return arguments_of<generated::BinaryCrossEntropyWithLogitsBackward0>(node);
    case Op::HuberLoss:
      return arguments_of<generated::HuberLossBackward0>(node);
    case Op::SmoothL1Loss:
      return arguments_of<generated::SmoothL1LossBackward0>(node);
    default:
      return arguments_of<generated::MseLossBackward0>(node);
  }
}

Tensor saved_result(Node& node) {
  return op_of(node) == Op::Exp ? saved(as<generated::ExpBackward0>(node).result_, node)
                                : saved(as<generated::SigmoidBackward0>(node).result_, node);
}

Tensor saved_input(Node& node) {
  switch (op_of(node)) {
    case Op::Abs:
      return saved(as<generated::AbsBackward0>(node).self_, node);
    case Op::Log:
      return saved(as<generated::LogBackward0>(node).self_, node);
    case Op::Logsumexp:
      return saved(as<generated::LogsumexpBackward0>(node).self_, node);
    case Op::Pow:
      return saved(as<generated::PowBackward0>(node).self_, node);
    case Op::Softplus:
      return saved(as<generated::SoftplusBackward0>(node).self_, node);
    default:
      return saved(as<generated::LogSigmoidBackward0>(node).self_, node);
  }
}

LogsumexpDimensions dimensions_of(const Node& node) {
  const auto& sum = as<generated::LogsumexpBackward0>(node);
  return {sum.dim, sum.keepdim};
}

double beta_of_softplus(const Node& node) {
  return as<generated::SoftplusBackward0>(node).beta.toDouble();
}

double alpha_of(const Node& node) {
  return op_of(node) == Op::Add ? as<generated::AddBackward0>(node).alpha.toDouble()
                                : as<generated::SubBackward0>(node).alpha.toDouble();
}

double exponent_of_pow(const Node& node) {
  return as<generated::PowBackward0>(node).exponent.toDouble();
}

std::optional<double> least_of_clamp(const Node& node) {
  if (op_of(node) == Op::ClampMin) return as<generated::ClampMinBackward0>(node).min.toDouble();
  const auto& least = as<generated::ClampBackward1>(node).min;
  return least ? std::optional(least->toDouble()) : std::nullopt;
}

std::pair<Tensor, Tensor> saved_factors(Node& node) {
  const auto factors = [&node](const auto& product) {
    return std::pair(saved(product.self_, node), saved(product.other_, node));
  };
  return op_of(node) == Op::Mul ? factors(as<generated::MulBackward0>(node))
                                : factors(as<generated::DivBackward0>(node));
}

std::optional<double> factor_of(const Node& node) {
  if (is<generated::MulBackward1>(node)) {
    return as<generated::MulBackward1>(node).other.toDouble();
  }
  if (is<generated::DivBackward1>(node)) {
    return 1 / as<generated::DivBackward1>(node).other.toDouble();
  }
  return std::nullopt;
}

// ---- Layers ----

AddmmScales scales_of_addmm(const Node& node) {
  const auto& addmm = as<generated::AddmmBackward0>(node);
  return {addmm.alpha.toDouble(), addmm.beta.toDouble()};
}

Tensor saved_left(Node& node) {
  return op_of(node) == Op::Mm ? saved(as<generated::MmBackward0>(node).self_, node)
                               : saved(as<generated::AddmmBackward0>(node).mat1_, node);
}

ConvolutionGeometry geometry_of(Node& node) {
  const auto& convolution = as<generated::ConvolutionBackward0>(node);
  const size_t dims = shape_at(result_of(node)).size() - 2;
  // LibTorch keeps a single number for all dimensions as it was given.
  const auto for_each_dimension = [dims](const std::vector<c10::SymInt>& symbols) {
    std::vector<int64_t> numbers;
    for (size_t d = 0; d < dims; ++d) {
      numbers.push_back(symbols[symbols.size() == 1 ? 0 : d].expect_int());
    }
    return numbers;
  };
  return {for_each_dimension(convolution.stride), for_each_dimension(convolution.padding),
          for_each_dimension(convolution.dilation), convolution.groups.expect_int(),
          convolution.transposed};
}

Tensor saved_image(Node& node) {
  return saved(as<generated::ConvolutionBackward0>(node).input_, node);
}

namespace {

/// (x - mean)·scale, each [C] along dimension 1.
Tensor normalised_by_channel(const Tensor& x, const Tensor& mean, const Tensor& scale) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = x.size(1);
  return (x - mean.view(shape)) * scale.view(shape);
}

template <class BatchNorm>
Tensor normalised_by_statistics(Node& node, const BatchNorm& norm, double epsilon) {
  const auto mean = saved(norm.running_mean_, node), variance = saved(norm.running_var_, node);
  if (norm.training || !mean.defined() || !variance.defined()) return {};
  return normalised_by_channel(saved(norm.input_, node), mean, (variance + epsilon).rsqrt());
}

Tensor normalised_by_statistics(Node& node) {
  if (is<generated::CudnnBatchNormBackward0>(node)) {
    const auto& norm = as<generated::CudnnBatchNormBackward0>(node);
    return normalised_by_statistics(node, norm, norm.epsilon);
  }
  const auto& norm = as<generated::NativeBatchNormBackward0>(node);
  return normalised_by_statistics(node, norm, norm.eps);
}

Tensor normalised_by_group(Node& node) {
  const auto& norm = as<generated::NativeGroupNormBackward0>(node);
  const auto x = saved(norm.input_, node);
  const auto groups = x.reshape({x.size(0), norm.group, -1});
  const auto shape = std::vector<int64_t>{x.size(0), norm.group, 1};
  return ((groups - saved(norm.result1_, node).view(shape)) *
          saved(norm.result2_, node).view(shape))
      .view(x.sizes());
}

}  // namespace

Tensor normalised_input(Node& node) {
  switch (op_of(node)) {
    case Op::BatchNorm:
      return normalised_by_statistics(node);
    case Op::GroupNorm:
      return normalised_by_group(node);
    default: {
      const auto& norm = as<generated::NativeLayerNormBackward0>(node);
      return (saved(norm.input_, node) - saved(norm.result1_, node)) * saved(norm.result2_, node);
    }
  }
}

size_t normalised_dimensions(const Node& node) {
  return as<generated::NativeLayerNormBackward0>(node).normalized_shape.size();
}

// ---- Kinds of nodes ----

bool is_matrix_transpose(Node& node) {
  const auto is_matrix = [&] { return shape_at(result_of(node)).size() == 2; };
  if (is<generated::TBackward0>(node)) return is_matrix();
  if (const auto* transpose = dynamic_cast<generated::TransposeBackward0*>(&node)) {
    return is_matrix() && (transpose->dim0 - transpose->dim1) % 2 != 0;
  }
  const auto* permute = dynamic_cast<generated::PermuteBackward0*>(&node);
  return permute && is_matrix() && permute->dims[0] % 2 != 0;
}

bool is_cast(const Node& node) { return is<generated::ToCopyBackward0>(node); }

bool is_reshape(const Node& node) {
  return is<generated::ViewBackward0>(node) || is<generated::UnsafeViewBackward0>(node) ||
         is<generated::ReshapeAliasBackward0>(node);
}

namespace {

template <class Reduction>
bool reduces_other_dimensions(const Node& node) {
  const auto* reduction = dynamic_cast<const Reduction*>(&node);
  if (!reduction || !reduction->dim.list) return false;
  const auto dims = static_cast<int64_t>(reduction->self_sym_sizes.size());
  const auto& reduced = *reduction->dim.list;
  return !reduced.empty() &&
         std::none_of(reduced.begin(), reduced.end(), [dims](int64_t d) { return d % dims == 0; });
}

}  // namespace

bool reduces_within_rows(const Node& node) {
  return reduces_other_dimensions<generated::SumBackward1>(node) ||
         reduces_other_dimensions<generated::MeanBackward1>(node);
}

namespace {

template <class Normalisation>
bool is_training(const Node& node) {
  const auto* normalisation = dynamic_cast<const Normalisation*>(&node);
  return normalisation && normalisation->training;
}

}  // namespace

bool is_batch_normalisation_in_training(const Node& node) {
  return is_training<generated::NativeBatchNormBackward0>(node) ||
         is_training<generated::CudnnBatchNormBackward0>(node) ||
         is_training<generated::MiopenBatchNormBackward0>(node) ||
         is_training<generated::NativeBatchNormLegitBackward0>(node) ||
         is_training<generated::NativeBatchNormLegitBackward1>(node) ||
         is<generated::BatchNormWithUpdateBackward0>(node);
}

}  // namespace natgrad::detail
