#include <c10/util/StringUtil.h>
#include <fmt/format.h>
#include <natgrad/diagnostics/reparametrisation.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <cmath>

#include "diagnostics/explicit_matrix.h"

namespace natgrad {

using torch::Tensor;

Affine::Affine(Tensor A, Tensor b) : A_(std::move(A)), b_(std::move(b)) {
  const bool is_square = A_.defined() && A_.dim() == 2 && A_.size(0) == A_.size(1);
  TORCH_CHECK_VALUE(is_square || (A_.defined() && A_.dim() == 1),
                    "natgrad: an affine map has A of [P, P], or of [P] for a diagonal, but got ",
                    A_.defined() ? c10::str(A_.sizes()) : "nothing", ".");
  TORCH_CHECK_VALUE(
      !b_.defined() || (b_.sizes() == at::IntArrayRef(A_.size(0)) && b_.dtype() == A_.dtype()),
      "natgrad: an affine map has b of [", A_.size(0), "] in A's dtype, but got ", b_.sizes(),
      " in ", b_.dtype(), ".");
  A_ = A_.detach();
  const bool is_finite = A_.isfinite().all().item<bool>();
  TORCH_CHECK_VALUE(is_finite && (is_square || A_.ne(0).all().item<bool>()),
                    "natgrad: an affine map has an A of finite numbers that is invertible.");
}

Affine Affine::per_tensor(const std::vector<Tensor>& parameters,
                          const std::vector<double>& factors) {
  TORCH_CHECK_VALUE(
      parameters.size() == factors.size() && !factors.empty(),
      "natgrad: Affine::per_tensor takes a factor for each of the parameters, but got ",
      factors.size(), " for ", parameters.size(), ".");
  std::vector<Tensor> pieces;
  for (size_t k = 0; k < parameters.size(); ++k) {
    pieces.push_back(torch::full({parameters[k].numel()}, factors[k],
                                 parameters[k].options().requires_grad(false)));
  }
  return Affine(torch::cat(pieces));
}

Affine Affine::mixing(int64_t size, double condition, uint64_t seed, const Tensor& like) {
  TORCH_CHECK_VALUE(size > 0 && condition >= 1 && std::isfinite(condition),
                    "natgrad: Affine::mixing takes a size of at least 1 and a condition >= 1, but "
                    "got ",
                    size, " and ", condition, ".");
  const auto options =
      like.defined() ? like.options().requires_grad(false) : torch::TensorOptions(torch::kDouble);
  auto generator = make_generator(seed);
  const auto u = random_normal({size}, options, generator);
  // Of a bounded function of normal numbers: exponents in [-½, ½].
  const auto exponents = 0.5 * random_normal({size}, options, generator).tanh();
  Affine map((exponents * std::log(condition)).exp());
  map.reflection_ = u / u.norm();
  return map;
}

namespace {

/// (I - 2uuᵀ) v; v where there is no u.
Tensor reflected(const Tensor& u, const Tensor& v) {
  return u.defined() ? v - 2 * u.dot(v) * u : v;
}

}  // namespace

Tensor Affine::multiply_jacobian(const Tensor& /*gamma*/, const Tensor& v) const {
  TORCH_CHECK_VALUE(v.numel() == A_.size(0), "natgrad: the affine map is of ", A_.size(0),
                    " parameters, but got ", v.numel(), ".");
  return A_.dim() == 2 ? A_.mv(v) : A_ * reflected(reflection_, v);
}

Tensor Affine::multiply_jacobian_transposed(const Tensor& /*gamma*/, const Tensor& u) const {
  return A_.dim() == 2 ? A_.t().mv(u) : reflected(reflection_, A_ * u);
}

Tensor Affine::forward(const Tensor& gamma) const {
  const auto product = multiply_jacobian(gamma, gamma);
  return b_.defined() ? product + b_ : product;
}

Tensor Affine::inverse(const Tensor& theta) const {
  TORCH_CHECK_VALUE(theta.numel() == A_.size(0), "natgrad: the affine map is of ", A_.size(0),
                    " parameters, but got ", theta.numel(), ".");
  const auto centred = b_.defined() ? theta - b_ : theta;
  return A_.dim() == 2 ? torch::linalg_solve(A_, centred) : reflected(reflection_, centred / A_);
}

double Affine::condition(const Tensor& /*gamma*/) const {
  return ratio_of(A_.dim() == 2 ? torch::linalg_svdvals(A_) : A_.abs());
}

std::string Affine::describe() const {
  const auto P = A_.size(0);
  const auto kind = A_.dim() == 2           ? fmt::format("A of [{}, {}]", P, P)
                    : reflection_.defined() ? fmt::format("A = diag(d)(I - 2uuᵀ) of [{}, {}]", P, P)
                                            : fmt::format("A = diag of [{}]", P);
  return fmt::format("A γ{}, {}", b_.defined() ? " + b" : "", kind);
}

}  // namespace natgrad
