#pragma once

#include <torch/types.h>

#include <functional>
#include <string>

namespace natgrad {

/// How an operator multiplies a block of K columns.
enum class Columns {
  OneByOne,  ///< a call of its function for each
  Vmapped,   ///< one call for up to 64 of them, through `vmap`; one by one where that fails
  Together   ///< its function takes a block itself
};

/// A symmetric linear map on parameter space, v ↦ A v, known only by its products.
///
/// The matrix [P, P] is never formed. Operators are values: sums, multiples and shifts (A + λI) are
/// operators again, and what they are made of stays alive with them.
class LinearOperator {
 public:
  /// Answers A v for a contiguous v of [P] with a fresh tensor that the caller may overwrite.
  using Multiply = std::function<torch::Tensor(const torch::Tensor& v)>;
  /// Answers (A + σI)⁻¹ b for b of [P].
  using ShiftedSolve = std::function<torch::Tensor(double shift, const torch::Tensor& b)>;

  LinearOperator(std::string name, int64_t size, torch::TensorOptions options, Multiply multiply,
                 Columns columns = Columns::OneByOne);

  /// A v, shape [P]; for a block of columns [P, K], shape [P, K] and K products, which cost much
  /// less together than one by one on a small network (see `Columns`), at the memory of 64.
  /// Throws if v has another length, dtype or device than the operator.
  torch::Tensor multiply(const torch::Tensor& v) const;

  /// The same operator, knowing how to solve with itself and its shifts; A + λI and c·A know it
  /// then too.
  LinearOperator with_solve(ShiftedSolve solve) const;
  bool has_solve() const { return solve_ != nullptr; }
  /// A⁻¹ b. Throws unless `has_solve`.
  torch::Tensor solve(const torch::Tensor& b) const;

  int64_t size() const { return size_; }
  const torch::TensorOptions& options() const { return options_; }
  const std::string& name() const { return name_; }

 private:
  friend LinearOperator operator+(const LinearOperator& a, double lambda);
  friend LinearOperator operator*(double c, const LinearOperator& a);

  /// The products with the rows, into the rows of `products`.
  void multiply_rows(const torch::Tensor& rows, torch::Tensor products) const;
  void check_operand(const torch::Tensor& v) const;

  std::string name_;
  int64_t size_;
  torch::TensorOptions options_;
  Multiply multiply_;
  Columns columns_;
  ShiftedSolve solve_;
};

/// A + B. Throws if their sizes, dtypes or devices differ.
LinearOperator operator+(const LinearOperator& a, const LinearOperator& b);
/// A + λI.
LinearOperator operator+(const LinearOperator& a, double lambda);
/// c·A.
LinearOperator operator*(double c, const LinearOperator& a);
/// diag(d), for d of [P]; knows its inverse.
LinearOperator diagonal(const torch::Tensor& d);
/// v ↦ M v for an explicit symmetric matrix M of [P, P].
LinearOperator from_dense(const torch::Tensor& matrix);

/// The explicit matrix of an operator, [P, P]: P products, P² numbers. For tests and small
/// problems.
torch::Tensor dense(const LinearOperator& a);

}  // namespace natgrad
