#include <natgrad/likelihoods/natural_full_gaussian.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "likelihoods/excess.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// D with D + D(D+1)/2 = outputs, or 0 if there is none.
int64_t dimension_of(int64_t outputs) {
  int64_t d = 0;
  while (d * (d + 3) / 2 < outputs) ++d;
  return d * (d + 3) / 2 == outputs ? d : 0;
}

/// The lower triangles of [N, D, D] row by row, [N, D(D+1)/2].
Tensor vech(const Tensor& matrices) {
  const auto d = matrices.size(-1);
  const auto index =
      torch::tril_indices(d, d, 0, matrices.options().dtype(torch::kLong).requires_grad(false));
  return matrices.flatten(-2).index_select(-1, index[0] * d + index[1]);
}

/// The symmetric matrices with these lower triangles, [N, D, D].
Tensor symmetric(const Tensor& triangles, int64_t d) {
  const auto i = torch::arange(d, triangles.options().dtype(torch::kLong).requires_grad(false));
  const auto row = torch::maximum(i.unsqueeze(1), i), column = torch::minimum(i.unsqueeze(1), i);
  const auto index = torch::floor_divide(row * (row + 1), 2) + column;
  return triangles.index_select(-1, index.flatten()).view({triangles.size(0), d, d});
}

/// `matrix` with its diagonal times `factor`.
Tensor scale_diagonal(const Tensor& matrix, double factor) {
  return matrix + (factor - 1) * torch::diag_embed(matrix.diagonal(0, -2, -1));
}

Tensor times(const Tensor& matrices, const Tensor& vectors) {
  return matrices.matmul(vectors.unsqueeze(-1)).squeeze(-1);
}

/// u wᵀ + w uᵀ.
Tensor symmetric_outer(const Tensor& u, const Tensor& w) {
  const auto product = u.unsqueeze(-1) * w.unsqueeze(-2);
  return product + product.mT();
}

/// The two parts of z, or of anything shaped like it.
struct Parts {
  Tensor vector;  // [N, D]
  Tensor matrix;  // symmetric, [N, D, D]
};

Parts parts_of(const Tensor& z, int64_t d) {
  return {z.narrow(1, 0, d), symmetric(z.narrow(1, d, z.size(1) - d), d)};
}

/// What T's second part is linear in: half the diagonal, and the rest once.
Tensor join(const Tensor& vector, const Tensor& matrix) {
  return torch::cat({vector, -vech(scale_diagonal(matrix, 0.5))}, 1);
}

/// L with Σ⁻¹ = L Lᵀ.
Tensor factor_of(const Tensor& precision) {
  return std::get<0>(torch::linalg_cholesky_ex(precision));
}

/// Throws naming the first finite one that has no such L.
void check_positive_definite(const Tensor& precision) {
  const auto info = std::get<1>(torch::linalg_cholesky_ex(precision));
  const auto finite = precision.isfinite().flatten(-2).all(-1);
  const auto failed = info.ne(0).logical_and(finite);
  if (!failed.any().item<bool>()) return;
  const auto i = failed.to(torch::kUInt8).argmax().item<int64_t>();
  TORCH_CHECK_VALUE(false,
                    "natgrad: a NaturalFullGaussian's Σ⁻¹, whose lower triangle is in z from "
                    "column D on, is positive definite, but that of example ",
                    i, " is not: its leading minor of order ", info[i].item<int64_t>(),
                    " is not positive. Let the network put out A and take A Aᵀ + εI; see "
                    "NaturalFullGaussian::natural_parameters.");
}

}  // namespace

NaturalFullGaussian::NaturalFullGaussian(Tensor outputs) : Likelihood(std::move(outputs)) {
  const auto& z = this->outputs();
  size_ = z.dim() == 2 ? dimension_of(z.size(1)) : 0;
  TORCH_CHECK(size_ > 0,
              "natgrad: a NaturalFullGaussian needs outputs of shape [N, D + D(D+1)/2], which is "
              "2, 5, 9, 14, ... for D = 1, 2, 3, 4, ..., but got ",
              z.sizes(), ".");
  torch::NoGradGuard no_grad;
  check_positive_definite(parts_of(z, size_).matrix);
}

Tensor NaturalFullGaussian::natural_parameters(const Tensor& mean, const Tensor& precision) {
  TORCH_CHECK(mean.dim() == 2 && precision.sizes() ==
                                     torch::IntArrayRef({mean.size(0), mean.size(1), mean.size(1)}),
              "natgrad: natural parameters are made of means [N, D] and precisions [N, D, D], but "
              "got ",
              mean.sizes(), " and ", precision.sizes(), ".");
  return torch::cat({times(precision, mean), vech(precision)}, 1);
}

std::string NaturalFullGaussian::describe() const { return "NaturalFullGaussian()"; }

void NaturalFullGaussian::check_targets(const Tensor& y) const {
  check_real(y, {outputs().size(0), size_}, "Gaussian");
}

Tensor NaturalFullGaussian::align(const Tensor& per_observation) const {
  return per_observation.unsqueeze(1);
}

const NaturalFullGaussian::Moments& NaturalFullGaussian::moments() const {
  return moments_.get(outputs(), [this] { return make_moments(); });
}

NaturalFullGaussian::Moments NaturalFullGaussian::make_moments() const {
  const torch::NoGradGuard no_grad;
  const auto [shift, precision] = parts_of(outputs(), size_);
  const auto identity = torch::eye(size_, precision.options()).expand_as(precision);
  const auto finite = precision.isfinite().flatten(-2).all(-1).view({-1, 1, 1});
  const auto root = factor_of(precision).masked_fill(finite.logical_not(),
                                                     std::numeric_limits<double>::quiet_NaN());
  const auto factor = torch::linalg_solve_triangular(root.mT(), identity, /*upper=*/true);
  return {torch::cholesky_solve(shift.unsqueeze(-1), root).squeeze(-1), factor.matmul(factor.mT()),
          factor};
}

// Not zᵀT - log Z, whose terms cancel.
Tensor NaturalFullGaussian::compute_log_prob(const Tensor& y) const {
  const auto [shift, precision] = parts_of(outputs(), size_);
  const auto root = factor_of(precision);
  const auto mean = torch::cholesky_solve(shift.unsqueeze(-1), root).squeeze(-1);
  const auto white = times(root.mT(), y - mean);
  const double log_normaliser = 0.5 * static_cast<double>(size_) * std::log(2 * std::numbers::pi);
  return root.diagonal(0, -2, -1).log().sum(-1) - 0.5 * white.square().sum(-1) - log_normaliser;
}

// yyᵀ - E[yyᵀ] = ddᵀ + dμᵀ + μdᵀ - Σ with d = y - μ.
Tensor NaturalFullGaussian::compute_score(const Tensor& y) const {
  const auto& [mean, covariance, factor] = moments();
  const auto d = y - mean;
  return join(d, d.unsqueeze(-1) * d.unsqueeze(-2) + symmetric_outer(d, mean) - covariance);
}

Tensor NaturalFullGaussian::fisher_multiply(const Tensor& v) const {
  const auto& [mean, covariance, factor] = moments();
  const auto [a, h] = parts_of(v, size_);
  const auto u = times(covariance, a - times(h, mean));
  return join(u, symmetric_outer(u, mean) - covariance.matmul(h).matmul(covariance));
}

// y - μ = C x with x white; the entries of xxᵀ - I are uncorrelated with x and with each other, of
// variance 2 on the diagonal and 1 elsewhere.
Tensor NaturalFullGaussian::factor_multiply(const Tensor& r) const {
  const auto& [mean, covariance, factor] = moments();
  const auto [x, w] = parts_of(r, size_);
  const auto u = times(factor, x);
  const auto noise = scale_diagonal(w, std::numbers::sqrt2);
  return join(u, symmetric_outer(u, mean) + factor.matmul(noise).matmul(factor.mT()));
}

Tensor NaturalFullGaussian::fisher_solve(const Tensor& v) const {
  const auto& mean = moments().mean;
  const auto precision = parts_of(outputs(), size_).matrix;
  const auto [u, halved] = parts_of(v, size_);
  const auto sandwich = symmetric_outer(u, mean) + scale_diagonal(halved, 2);  // ΣHΣ
  const auto h = precision.matmul(sandwich).matmul(precision);
  return torch::cat({times(precision, u) + times(h, mean), vech(h)}, 1);
}

Tensor NaturalFullGaussian::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto& [mean, covariance, factor] = moments();
  const auto noise = torch::empty_like(mean).normal_(0, 1, std::move(generator));
  return mean + times(factor, noise);
}

// Both parts by d = (α, H): Σ Σ'⁻¹ - I has the eigenvalues of L⁻¹H L⁻ᵀ, and Σ'⁻¹ (μ' - μ) is
// α - Hμ, so that neither covariances nor means are subtracted.
Tensor NaturalFullGaussian::compute_kl(const Likelihood& other) const {
  const auto d = other.outputs() - outputs();
  const auto is_finite = d.isfinite().all(1, /*keepdim=*/true);
  const auto whole = is_finite.unsqueeze(2);
  const auto [shift, precision] = parts_of(outputs(), size_);
  const auto [alpha, change] = parts_of(torch::where(is_finite, d, 0), size_);
  const auto eye = torch::eye(size_, precision.options()).expand_as(precision);
  const auto root = factor_of(torch::where(whole, precision, eye));
  const auto moved_root = factor_of(torch::where(whole, precision + change, eye));
  const auto half = torch::linalg_solve_triangular(root, change, /*upper=*/false);
  const auto ratio = torch::linalg_solve_triangular(root, half.mT(), /*upper=*/false);
  const auto mean = torch::cholesky_solve(shift.unsqueeze(-1), root).squeeze(-1);
  const auto white = torch::linalg_solve_triangular(
      moved_root, (alpha - times(change, mean)).unsqueeze(-1), /*upper=*/false);
  const auto spread = log_shortfall(torch::linalg_eigvalsh(0.5 * (ratio + ratio.mT()))).sum(1);
  const auto kl = 0.5 * (spread + white.squeeze(-1).square().sum(1));
  return kl.masked_fill(is_finite.squeeze(1).logical_not(),
                        std::numeric_limits<double>::quiet_NaN());
}

}  // namespace natgrad
