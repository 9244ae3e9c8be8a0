#pragma once

// What a line of the table of likelihood families (likelihood_families.h) says, and the words it is
// written in.

#include <natgrad/likelihoods/likelihood.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/quadrature.h"

namespace natgrad::testing {

using TensorMap = std::function<Tensor(const Tensor&)>;

inline Tensor any_number(const Tensor& z) { return z; }

struct LikelihoodFamily {
  std::string name;
  std::function<std::shared_ptr<Likelihood>(const Tensor& z)> make;
  std::function<Support(const Tensor& z)> support;
  std::vector<std::vector<int64_t>> shapes;
  /// Any real numbers as outputs that the family takes and float32 can hold the results of.
  TensorMap domain = any_number;
  /// Whether y may be integers, besides floating.
  bool integer_targets = false;
  /// Whether log r has no kink; with one, E[-∇²log r] is not F_R.
  bool without_kink = true;
};

template <class Family, class... Arguments>
auto of(Arguments... arguments) {
  return [=](const Tensor& z) { return std::make_shared<Family>(z, arguments...); };
}

inline auto classes(int64_t dim) {
  return [dim](const Tensor& z) { return enumerate_classes(z, dim); };
}

inline auto gaussian_line(const Tensor& variance) {
  return [sigma = variance.sqrt()](const Tensor& z) { return real_line(z, sigma); };
}

inline auto gaussian_line(double variance) {
  return gaussian_line(torch::tensor(variance, torch::kDouble));
}

inline auto gaussian_space(const Tensor& covariance) {
  return [factor = torch::linalg_cholesky(covariance)](const Tensor& z) {
    return real_space(z, factor);
  };
}

/// For outputs that hold two parameters: mean and σ are functions of them.
template <class Mean, class Sigma>
auto paired_line(Mean mean, Sigma sigma) {
  return [=](const Tensor& z) {
    const auto half = z.chunk(2, 1);
    return real_line(mean(half[0], half[1]), sigma(half[0], half[1]));
  };
}

/// `map` on the second half of dimension 1.
inline TensorMap on_second_half(TensorMap map) {
  return [=](const Tensor& z) {
    const auto half = z.chunk(2, 1);
    return torch::cat({half[0], map(half[1])}, 1);
  };
}

inline auto tails(double core, double rate) {
  return [=](const Tensor& z) { return line_with_tails(z, core, rate); };
}

/// Positive numbers of different sizes.
inline Tensor some_variances(at::IntArrayRef shape) { return (0.7 * randn(shape, 31)).exp(); }

/// Covariances with eigenvalues from a quarter to one.
inline Tensor some_covariances(int64_t n, int64_t d) {
  std::vector<Tensor> covariances;
  for (int64_t i = 0; i < n; ++i) covariances.push_back(random_spd(d, 4, 40 + i));
  return torch::stack(covariances);
}

}  // namespace natgrad::testing
