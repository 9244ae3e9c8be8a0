#include <fmt/format.h>
#include <natgrad/linalg/linear_operator.h>
#include <torch/torch.h>
#include "linalg/vmap.h"

#include <algorithm>

namespace natgrad {

using torch::Tensor;

namespace {

// How many columns share one call: beyond, the activations of all of them no longer fit the cache.
constexpr int64_t kBlock = 64;

/// UᵀV of columns, [K, L], in double on the CPU.
Tensor dot_products(const std::vector<Tensor>& u, const std::vector<Tensor>& v) {
  auto dots = torch::empty({static_cast<int64_t>(u.size()), static_cast<int64_t>(v.size())},
                           torch::kDouble);
  for (size_t k = 0; k < u.size(); ++k) {
    for (size_t l = 0; l < v.size(); ++l) dots[k][l] = u[k].dot(v[l]).item<double>();
  }
  return dots;
}

}  // namespace

Root explicit_root(Tensor rows) {
  const auto gram = std::make_shared<Tensor>();
  const auto factors = std::make_shared<std::pair<Tensor, Tensor>>();
  Root root;
  root.rows = rows.size(0);
  root.multiply = [rows](const Tensor& v) { return rows.mv(v); };
  root.multiply_transposed = [rows](const Tensor& u) { return rows.t().mv(u); };
  root.gram = [rows, gram] {
    if (!gram->defined()) *gram = rows.mm(rows.t());
    return *gram;
  };
  root.matrix = [rows] { return rows; };
  root.reflectors = [rows, factors] {
    if (!factors->first.defined()) {
      auto [reflectors, scales] = torch::geqrf(rows.to(torch::kDouble));
      *factors = {std::move(reflectors), std::move(scales)};
    }
    return *factors;
  };
  return root;
}

RootCosts Root::estimate(int64_t parameters) const {
  if (costs) return costs();
  const auto r = static_cast<double>(rows), P = static_cast<double>(parameters);
  return {2 * r * P, r * r * P};
}

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

Tensor LinearOperator::inner(const std::vector<Tensor>& columns) const {
  for (const auto& v : columns) check_operand(v);
  if (inner_) return inner_(columns);
  std::vector<Tensor> products;
  for (const auto& v : columns) products.push_back(multiply(v));
  return dot_products(columns, products);
}

LinearOperator LinearOperator::with_inner(Inner inner) const {
  auto result = *this;
  result.inner_ = std::move(inner);
  return result;
}

LinearOperator LinearOperator::with_root(Root root) const {
  auto result = *this;
  result.root_form_ = RootForm{std::make_shared<const Root>(std::move(root))};
  return result;
}

Tensor LinearOperator::solve(const Tensor& b) const {
  TORCH_CHECK(solve_, "natgrad: ", name_,
              " does not know its inverse; use a solver, which asks for products alone.");
  check_operand(b);
  return solve_(0, b.contiguous());
}

LinearOperator operator+(const LinearOperator& a, const LinearOperator& b) {
  TORCH_CHECK(a.size() == b.size(), "natgrad: cannot add ", a.name(), " of size ", a.size(),
              " and ", b.name(), " of size ", b.size(), ".");
  TORCH_CHECK(
      a.options().dtype() == b.options().dtype() && a.options().device() == b.options().device(),
      "natgrad: cannot add ", a.name(), " and ", b.name(), ": they differ in dtype or device.");
  const LinearOperator sum(
      fmt::format("{} + {}", a.name(), b.name()), a.size(), a.options(),
      [a, b](const Tensor& v) { return a.multiply(v).add_(b.multiply(v)); }, Columns::Together);
  if (!a.inner_ && !b.inner_) return sum;
  return sum.with_inner(
      [a, b](const auto& columns) { return a.inner(columns) + b.inner(columns); });
}

LinearOperator operator+(const LinearOperator& a, double lambda) {
  LinearOperator sum(
      fmt::format("{} + {:g} I", a.name(), lambda), a.size(), a.options(),
      [a, lambda](const Tensor& v) { return a.multiply(v).add_(v, lambda); }, Columns::Together);
  if (a.inner_) {
    sum.inner_ = [a, lambda](const auto& columns) {
      return a.inner(columns) + lambda * dot_products(columns, columns);
    };
  }
  sum.root_form_ = a.root_form_;
  if (sum.root_form_) sum.root_form_->shift += lambda;
  if (!a.has_solve()) return sum;
  return sum.with_solve([solve = a.solve_, lambda](double shift, const Tensor& b) {
    return solve(shift + lambda, b);
  });
}

LinearOperator operator*(double c, const LinearOperator& a) {
  LinearOperator multiple(
      fmt::format("{:g} ({})", c, a.name()), a.size(), a.options(),
      [a, c](const Tensor& v) { return a.multiply(v).mul_(c); }, Columns::Together);
  if (a.inner_) multiple.inner_ = [a, c](const auto& columns) { return c * a.inner(columns); };
  if (c > 0) multiple.root_form_ = a.root_form_;
  if (multiple.root_form_) {
    multiple.root_form_->scale *= c;
    multiple.root_form_->shift *= c;
  }
  if (!a.has_solve() || c == 0) return multiple;
  return multiple.with_solve(
      [solve = a.solve_, c](double shift, const Tensor& b) { return solve(shift / c, b).div_(c); });
}

LinearOperator diagonal_operator(const Tensor& d) {
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
