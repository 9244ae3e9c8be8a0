#include <fmt/format.h>
#include <natgrad/linalg/linear_operator.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

LinearOperator::LinearOperator(std::string name, int64_t size, torch::TensorOptions options,
                               Multiply multiply)
    : name_(std::move(name)), size_(size), options_(options), multiply_(std::move(multiply)) {}

Tensor LinearOperator::multiply(const Tensor& v) const {
  TORCH_CHECK((v.dim() == 1 || v.dim() == 2) && v.size(0) == size_, "natgrad: ", name_,
              " multiplies vectors of [", size_, "] or blocks of [", size_, ", K], but got shape ",
              v.sizes(), ".");
  TORCH_CHECK(v.scalar_type() == c10::typeMetaToScalarType(options_.dtype()) &&
                  v.device() == options_.device(),
              "natgrad: ", name_, " is in ", options_.dtype(), " on ", options_.device(),
              ", but the vector is in ", v.dtype(), " on ", v.device(), ".");
  if (v.dim() == 1) return multiply_(v.contiguous());
  auto product = torch::empty_like(v, torch::MemoryFormat::Contiguous);
  for (int64_t k = 0; k < v.size(1); ++k) {
    product.select(1, k).copy_(multiply_(v.select(1, k).contiguous()));
  }
  return product;
}

LinearOperator operator+(const LinearOperator& a, const LinearOperator& b) {
  TORCH_CHECK(a.size() == b.size(), "natgrad: cannot add ", a.name(), " of size ", a.size(),
              " and ", b.name(), " of size ", b.size(), ".");
  TORCH_CHECK(
      a.options().dtype() == b.options().dtype() && a.options().device() == b.options().device(),
      "natgrad: cannot add ", a.name(), " and ", b.name(), ": they differ in dtype or device.");
  return {fmt::format("{} + {}", a.name(), b.name()), a.size(), a.options(),
          [a, b](const Tensor& v) { return a.multiply(v).add_(b.multiply(v)); }};
}

LinearOperator operator+(const LinearOperator& a, double lambda) {
  return {fmt::format("{} + {:g} I", a.name(), lambda), a.size(), a.options(),
          [a, lambda](const Tensor& v) { return a.multiply(v).add_(v, lambda); }};
}

LinearOperator operator*(double c, const LinearOperator& a) {
  return {fmt::format("{:g} ({})", c, a.name()), a.size(), a.options(),
          [a, c](const Tensor& v) { return a.multiply(v).mul_(c); }};
}

LinearOperator diagonal(const Tensor& d) {
  TORCH_CHECK(d.dim() == 1, "natgrad: a diagonal is a vector, but got shape ", d.sizes(), ".");
  return {"diagonal", d.numel(), d.options(), [d](const Tensor& v) { return d * v; }};
}

LinearOperator from_dense(const Tensor& matrix) {
  TORCH_CHECK(matrix.dim() == 2 && matrix.size(0) == matrix.size(1),
              "natgrad: expected a square matrix but got shape ", matrix.sizes(), ".");
  return {"dense matrix", matrix.size(0), matrix.options(),
          [matrix](const Tensor& v) { return matrix.mv(v); }};
}

Tensor dense(const LinearOperator& a) { return a.multiply(torch::eye(a.size(), a.options())); }

}  // namespace natgrad
