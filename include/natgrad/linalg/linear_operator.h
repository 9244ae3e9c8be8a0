#pragma once

#include <torch/types.h>

#include <functional>
#include <string>

namespace natgrad {

/// A symmetric linear map on parameter space, v ↦ A v, known only by its products.
///
/// The matrix [P, P] is never formed. Operators are values: sums, multiples and shifts (A + λI) are
/// operators again, and what they are made of stays alive with them.
class LinearOperator {
 public:
  /// Answers A v for a contiguous v of [P] with a fresh tensor that the caller may overwrite.
  using Multiply = std::function<torch::Tensor(const torch::Tensor& v)>;

  LinearOperator(std::string name, int64_t size, torch::TensorOptions options, Multiply multiply);

  /// A v, shape [P]; for a block of columns [P, K], shape [P, K] and K products.
  /// Throws if v has another length, dtype or device than the operator.
  torch::Tensor multiply(const torch::Tensor& v) const;

  int64_t size() const { return size_; }
  const torch::TensorOptions& options() const { return options_; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  int64_t size_;
  torch::TensorOptions options_;
  Multiply multiply_;
};

/// A + B. Throws if their sizes, dtypes or devices differ.
LinearOperator operator+(const LinearOperator& a, const LinearOperator& b);
/// A + λI.
LinearOperator operator+(const LinearOperator& a, double lambda);
/// c·A.
LinearOperator operator*(double c, const LinearOperator& a);
/// diag(d), for d of [P].
LinearOperator diagonal(const torch::Tensor& d);
/// v ↦ M v for an explicit symmetric matrix M of [P, P].
LinearOperator from_dense(const torch::Tensor& matrix);

/// The explicit matrix of an operator, [P, P]: P products, P² numbers. For tests and small
/// problems.
torch::Tensor dense(const LinearOperator& a);

}  // namespace natgrad
