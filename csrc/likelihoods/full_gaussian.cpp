#include <natgrad/likelihoods/full_gaussian.h>
#include <torch/torch.h>
#include "linalg/norm.h"

#include <numbers>

#include "likelihoods/fixed_tensor.h"

namespace natgrad {

using torch::Tensor;

namespace {

// How far Σ and Σᵀ may differ, in roundings of Σ's largest entry: as a product of matrices may.
constexpr double kSymmetryRoundings = 100;

void check_covariance_shape(const Tensor& mean, const Tensor& covariance) {
  TORCH_CHECK(mean.dim() == 2, "natgrad: a FullGaussian's mean is [N, D], but got ", mean.sizes(),
              ".");
  const auto n = mean.size(0), d = mean.size(1);
  TORCH_CHECK(covariance.sizes() == torch::IntArrayRef({d, d}) ||
                  covariance.sizes() == torch::IntArrayRef({n, d, d}),
              "natgrad: a FullGaussian with a mean of shape ", mean.sizes(),
              " needs a covariance [D, D] or [N, D, D], but got ", covariance.sizes(), ".");
}

void check_symmetric(const Tensor& covariance) {
  check_support(covariance, covariance.isfinite(), "a covariance is finite", "covariance");
  if (covariance.numel() == 0) return;
  const auto size = covariance.abs().amax({-2, -1}, /*keepdim=*/true);
  const auto asymmetry = (covariance - covariance.mT()).abs();
  check_support(covariance,
                asymmetry <= kSymmetryRoundings * rounding_of(covariance.options()) * size,
                "a covariance is symmetric (if this one is up to rounding, pass (C + C.mT()) / 2)",
                "covariance");
}

/// L with Σ = L Lᵀ.
Tensor cholesky_of(const Tensor& covariance) {
  const auto [factor, info] = torch::linalg_cholesky_ex(covariance);
  const auto order = info.reshape(-1);  // of the first leading minor that is not positive, or 0
  if (order.ne(0).any().item<bool>()) {
    const auto i = order.ne(0).to(torch::kUInt8).argmax().item<int64_t>();
    const auto which = info.dim() == 0 ? std::string() : fmt::format("[{}]", i);
    TORCH_CHECK_VALUE(false, "natgrad: a covariance is positive definite, but covariance", which,
                      " is not: its leading minor of order ", order[i].item<int64_t>(),
                      " is not positive. Add a small multiple of the identity.");
  }
  return factor;
}

}  // namespace

FullGaussian::FullGaussian(Tensor mean, Tensor covariance)
    : Likelihood(std::move(mean)), covariance_(fixed_tensor(covariance, outputs(), "covariance")) {
  check_covariance_shape(outputs(), covariance_);
  check_symmetric(covariance_);
  cholesky_ = cholesky_of(covariance_);
}

std::string FullGaussian::describe() const {
  return "FullGaussian(covariance=" + fingerprint(covariance_) + ")";
}

void FullGaussian::check_targets(const Tensor& y) const {
  check_real(y, outputs().sizes(), "Gaussian");
}

Tensor FullGaussian::align(const Tensor& per_observation) const {
  return per_observation.unsqueeze(1);
}

// One Σ for all takes all examples as the columns of one matrix.
Tensor FullGaussian::columns(const Tensor& vectors) const {
  return cholesky_.dim() == 2 ? vectors.mT() : vectors.unsqueeze(-1);
}

Tensor FullGaussian::vectors(const Tensor& columns) const {
  return cholesky_.dim() == 2 ? columns.mT() : columns.squeeze(-1);
}

Tensor FullGaussian::compute_log_prob(const Tensor& y) const {
  const auto white =
      torch::linalg_solve_triangular(cholesky_, columns(y - outputs()), /*upper=*/false);
  const auto log_normaliser =
      cholesky_.diagonal(0, -2, -1).log().sum(-1) +
      0.5 * static_cast<double>(outputs().size(1)) * std::log(2 * std::numbers::pi);
  return -0.5 * vectors(white).square().sum(1) - log_normaliser;
}

Tensor FullGaussian::compute_score(const Tensor& y) const { return fisher_multiply(y - outputs()); }

Tensor FullGaussian::fisher_multiply(const Tensor& v) const {
  return vectors(torch::cholesky_solve(columns(v), cholesky_));
}

Tensor FullGaussian::factor_multiply(const Tensor& r) const {
  return vectors(torch::linalg_solve_triangular(cholesky_.mT(), columns(r), /*upper=*/true));
}

Tensor FullGaussian::fisher_solve(const Tensor& v) const {
  return vectors(cholesky_.matmul(cholesky_.mT().matmul(columns(v))));
}

Tensor FullGaussian::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto noise = torch::empty_like(outputs()).normal_(0, 1, std::move(generator));
  return outputs() + vectors(cholesky_.matmul(columns(noise)));
}

Tensor FullGaussian::compute_kl(const Likelihood& other) const {
  const auto white = torch::linalg_solve_triangular(cholesky_, columns(other.outputs() - outputs()),
                                                    /*upper=*/false);
  return 0.5 * vectors(white).square().sum(1);
}

}  // namespace natgrad
