#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace natgrad {

/// How an operator multiplies a block of K columns.
enum class Columns {
  OneByOne,  ///< a call of its function for each
  Vmapped,   ///< one call for up to 64 of them, through LibTorch's functorch; one by one where
             ///< that fails
  Together   ///< its function takes a block itself
};

/// Estimates of work, in multiplications and additions of a matrix product; the calls that small
/// networks spend their time on are counted as what could be multiplied meanwhile.
struct NATGRAD_EXPORT RootCosts {
  double product = 0;  ///< of R v and Rᵀu together
  double gram = 0;     ///< of RRᵀ
};

/// A matrix R of [rows, P], known by its products, its Gram matrix RRᵀ, or itself.
struct NATGRAD_EXPORT Root {
  int64_t rows = 0;                                                          ///< r
  std::function<torch::Tensor(const torch::Tensor& v)> multiply;             ///< R v, [rows]
  std::function<torch::Tensor(const torch::Tensor& u)> multiply_transposed;  ///< Rᵀu, [P]
  std::function<torch::Tensor()> gram;  ///< RRᵀ, [rows, rows]; not to be written to
  std::function<RootCosts()> costs;     ///< null: those of an explicit R
  /// R itself, [rows, P]; not to be written to. Null where it is not to be formed.
  std::function<torch::Tensor()> matrix = nullptr;
  /// R = Q U in double as LAPACK's geqrf leaves it, [rows, P], and its scales; made once and kept.
  /// Null where `matrix` is.
  std::function<std::pair<torch::Tensor, torch::Tensor>()> reflectors = nullptr;

  /// By `costs`, or of an explicit R; `parameters`: P.
  RootCosts estimate(int64_t parameters) const;
};

/// R given as it is.
NATGRAD_EXPORT Root explicit_root(torch::Tensor rows);

/// A = scale·RᵀR + shift·I.
struct NATGRAD_EXPORT RootForm {
  std::shared_ptr<const Root> root;  ///< R
  double scale = 1;                  ///< of RᵀR
  double shift = 0;                  ///< of I
};

/// A symmetric linear map on parameter space, v ↦ A v, known only by its products.
///
/// The matrix [P, P] is never formed. Operators are values: sums, multiples and shifts (A + λI) are
/// operators again, and what they are made of stays alive with them.
class NATGRAD_EXPORT LinearOperator {
 public:
  /// Answers A v for a contiguous v of [P] with a fresh tensor that the caller may overwrite.
  using Multiply = std::function<torch::Tensor(const torch::Tensor& v)>;
  /// Answers VᵀA V for the columns of V, each of [P]: [K, K], in double on the CPU.
  using Inner = std::function<torch::Tensor(const std::vector<torch::Tensor>& columns)>;
  /// Answers (A + σI)⁻¹ b for b of [P].
  using ShiftedSolve = std::function<torch::Tensor(double shift, const torch::Tensor& b)>;

  /// `size`: P; `options`: dtype and device of its vectors; `columns`: how it multiplies a block.
  LinearOperator(std::string name, int64_t size, torch::TensorOptions options, Multiply multiply,
                 Columns columns = Columns::OneByOne);

  /// A v, shape [P]; for a block of columns [P, K], shape [P, K] and K products, which cost much
  /// less together than one by one on a small network (see `Columns`), at the memory of 64.
  /// Throws if v has another length, dtype or device than the operator.
  torch::Tensor multiply(const torch::Tensor& v) const;

  /// VᵀA V for the columns of V, each of [P]: [K, K], in double on the CPU. For JᵀH J it takes J v
  /// alone, half of a product's cost.
  torch::Tensor inner(const std::vector<torch::Tensor>& columns) const;
  /// The same operator, knowing a cheaper way to VᵀA V than products; sums, multiples and shifts
  /// use it too.
  LinearOperator with_inner(Inner inner) const;

  /// The same operator, knowing how to solve with itself and its shifts; A + λI and c·A know it
  /// then too.
  LinearOperator with_solve(ShiftedSolve solve) const;
  /// Whether it knows how to solve.
  bool has_solve() const { return solve_ != nullptr; }
  /// A⁻¹ b. Throws unless `has_solve`.
  torch::Tensor solve(const torch::Tensor& b) const;

  /// The same operator, knowing that it is RᵀR; A + λI and c·A with c > 0 know their form then too.
  LinearOperator with_root(Root root) const;
  /// Its form RᵀR, where it is known.
  const std::optional<RootForm>& root_form() const { return root_form_; }

  /// P.
  int64_t size() const { return size_; }
  /// dtype and device of its vectors.
  const torch::TensorOptions& options() const { return options_; }
  /// For messages.
  const std::string& name() const { return name_; }

 private:
  friend LinearOperator operator+(const LinearOperator& a, const LinearOperator& b);
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
  Inner inner_;
  ShiftedSolve solve_;
  std::optional<RootForm> root_form_;
};

/// A + B. Throws if their sizes, dtypes or devices differ.
NATGRAD_EXPORT LinearOperator operator+(const LinearOperator& a, const LinearOperator& b);
/// A + λI.
NATGRAD_EXPORT LinearOperator operator+(const LinearOperator& a, double lambda);
/// c·A.
NATGRAD_EXPORT LinearOperator operator*(double c, const LinearOperator& a);
/// diag(d), for d of [P]; knows its inverse.
NATGRAD_EXPORT LinearOperator diagonal_operator(const torch::Tensor& d);
/// v ↦ M v for an explicit symmetric matrix M of [P, P].
NATGRAD_EXPORT LinearOperator from_dense(const torch::Tensor& matrix);

/// The explicit matrix of an operator, [P, P]: P products, P² numbers. For tests and small
/// problems.
NATGRAD_EXPORT torch::Tensor dense(const LinearOperator& a);

}  // namespace natgrad
