#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <vector>

namespace natgrad {

/// How a list of parameter tensors lies in one flat vector θ of shape [P].
///
/// Everything in parameter space (gradients, directions, steps) is such a flat, contiguous vector
/// in the parameters' own dtype and on their device. Parameters may be strided, 0-d or without
/// elements; a parameter that occurs twice in the network (tied weights) is listed once.
///
/// Throws `c10::Error` for an empty list, an undefined, duplicate, overlapping or expanded (stride
/// 0) tensor, a dtype other than float32 and float64, a sparse tensor, an inference tensor, a
/// non-leaf, and for mixed dtypes or devices.
class NATGRAD_EXPORT ParameterLayout {
 public:
  /// Throws as said above.
  explicit ParameterLayout(std::vector<torch::Tensor> parameters);

  /// P, the number of scalars.
  int64_t size() const { return size_; }
  /// The parameters themselves.
  const std::vector<torch::Tensor>& tensors() const { return tensors_; }
  /// dtype and device of every flat vector.
  torch::TensorOptions options() const { return tensors_.front().options().requires_grad(false); }

  /// One [P] vector from tensors shaped like the parameters; an undefined one counts as zero.
  torch::Tensor flatten(const std::vector<torch::Tensor>& tensors) const;
  /// Views into `flat` ([P], contiguous) with the parameters' shapes.
  std::vector<torch::Tensor> views(const torch::Tensor& flat) const;
  /// A copy of θ, [P].
  torch::Tensor values() const;
  /// θ ← flat, bit for bit, in place.
  void assign(const torch::Tensor& flat) const;

 private:
  std::vector<torch::Tensor> tensors_;
  int64_t size_ = 0;
};

/// Throws unless every tensor can be optimized and no two share memory; see `ParameterLayout`.
NATGRAD_EXPORT void check_parameters(const std::vector<torch::Tensor>& parameters);

/// Whether every element of `t` along some dimension is one and the same in memory (stride 0).
NATGRAD_EXPORT bool is_expanded(const torch::Tensor& t);

}  // namespace natgrad
