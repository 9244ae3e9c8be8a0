#include <fmt/format.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/linalg/vmap.h>
#include <torch/torch.h>

#include <algorithm>

namespace natgrad {

using torch::Tensor;

namespace {

// How many columns share one call: beyond, the activations of all of them no longer fit the cache.
constexpr int64_t kBlock = 64;

}  // namespace

LinearOperator::LinearOperator(std::string name, int64_t size, torch::TensorOptions options,
                               Multiply multiply, Columns columns)
    : name_(std::move(name)),
      size_(size),
      options_(options),
      multiply_(std::move(multiply)),
      columns_(columns) {}

void LinearOperator::check_operand(const Tensor& v) const {
  TORCH_CHECK((v.dim() == 1 || v.dim() == 2) && v.size(0) == size_, "natgrad: ", name_,
              " multiplies vectors of [", size_, "] or blocks of [", size_, ", K], but got shape ",
              v.sizes(), ".");
  TORCH_CHECK(v.scalar_type() == c10::typeMetaToScalarType(options_.dtype()) &&
                  v.device() == options_.device(),
              "natgrad: ", name_, " is in ", options_.dtype(), " on ", options_.device(),
              ", but the vector is in ", v.dtype(), " on ", v.device(), ".");
}

Tensor LinearOperator::multiply(const Tensor& v) const {
  check_operand(v);
  if (v.dim() == 1 || columns_ == Columns::Together) return multiply_(v.contiguous());
  // Columns as rows, each in one piece of memory.
  const auto rows = v.t().contiguous();
  auto products = torch::empty_like(rows);
  for (int64_t begin = 0; begin < rows.size(0); begin += kBlock) {
    const auto count = std::min(kBlock, rows.size(0) - begin);
    multiply_rows(rows.narrow(0, begin, count), products.narrow(0, begin, count));
  }
  return products.t().contiguous();
}

void LinearOperator::multiply_rows(const Tensor& rows, Tensor products) const {
  const bool together = columns_ == Columns::Vmapped && rows.size(0) > 1;
  const auto all = together ? vmap([this](const auto& v) { return multiply_(v.front()); }, {rows})
                            : std::nullopt;
  if (all) {
    products.copy_(*all);
    return;
  }
  for (int64_t k = 0; k < rows.size(0); ++k) products[k].copy_(multiply_(rows[k]));
}

LinearOperator LinearOperator::with_solve(ShiftedSolve solve) const {
  auto result = *this;
  result.solve_ = std::move(solve);
  return result;
}

Tensor LinearOperator::solve(const Tensor& b) const {
  TORCH_CHECK(solve_, "natgrad: ", name_,
              " does not know its inverse; use a solver, as natgrad::ConjugateGradient.");
  check_operand(b);
  return solve_(0, b.contiguous());
}

LinearOperator operator+(const LinearOperator& a, const LinearOperator& b) {
  TORCH_CHECK(a.size() == b.size(), "natgrad: cannot add ", a.name(), " of size ", a.size(),
              " and ", b.name(), " of size ", b.size(), ".");
  TORCH_CHECK(
      a.options().dtype() == b.options().dtype() && a.options().device() == b.options().device(),
      "natgrad: cannot add ", a.name(), " and ", b.name(), ": they differ in dtype or device.");
  return {fmt::format("{} + {}", a.name(), b.name()), a.size(), a.options(),
          [a, b](const Tensor& v) { return a.multiply(v).add_(b.multiply(v)); }, Columns::Together};
}

LinearOperator operator+(const LinearOperator& a, double lambda) {
  const LinearOperator sum(
      fmt::format("{} + {:g} I", a.name(), lambda), a.size(), a.options(),
      [a, lambda](const Tensor& v) { return a.multiply(v).add_(v, lambda); }, Columns::Together);
  if (!a.has_solve()) return sum;
  return sum.with_solve([solve = a.solve_, lambda](double shift, const Tensor& b) {
    return solve(shift + lambda, b);
  });
}

LinearOperator operator*(double c, const LinearOperator& a) {
  const LinearOperator multiple(
      fmt::format("{:g} ({})", c, a.name()), a.size(), a.options(),
      [a, c](const Tensor& v) { return a.multiply(v).mul_(c); }, Columns::Together);
  if (!a.has_solve() || c == 0) return multiple;
  return multiple.with_solve(
      [solve = a.solve_, c](double shift, const Tensor& b) { return solve(shift / c, b).div_(c); });
}

LinearOperator diagonal(const Tensor& d) {
  TORCH_CHECK(d.dim() == 1, "natgrad: a diagonal is a vector, but got shape ", d.sizes(), ".");
  const LinearOperator result(
      "diagonal", d.numel(), d.options(),
      [d](const Tensor& v) { return v.dim() == 1 ? d * v : d.unsqueeze(1) * v; },
      Columns::Together);
  return result.with_solve([d](double shift, const Tensor& b) { return b / (d + shift); });
}

LinearOperator from_dense(const Tensor& matrix) {
  TORCH_CHECK(matrix.dim() == 2 && matrix.size(0) == matrix.size(1),
              "natgrad: expected a square matrix but got shape ", matrix.sizes(), ".");
  return {"dense matrix", matrix.size(0), matrix.options(),
          [matrix](const Tensor& v) { return matrix.matmul(v); }, Columns::Together};
}

Tensor dense(const LinearOperator& a) { return a.multiply(torch::eye(a.size(), a.options())); }

}  // namespace natgrad
