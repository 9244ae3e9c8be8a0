#pragma once

// The table's part of exponential families by their natural parameters, and counts and times.

#include <natgrad/likelihoods/exponential.h>
#include <natgrad/likelihoods/exponential_family.h>
#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/log_gamma.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <natgrad/likelihoods/multinomial.h>
#include <natgrad/likelihoods/natural_full_gaussian.h>
#include <natgrad/likelihoods/natural_negative_binomial.h>
#include <natgrad/likelihoods/negative_binomial.h>

#include "support/likelihood_family.h"

namespace natgrad::testing {

/// z = (α, β) of Betas: log r = (α - 1) log y + (β - 1) log(1 - y) - log B(α, β).
inline ExponentialFamilyOptions beta() {
  return ExponentialFamilyOptions("Beta")
      .statistics([](auto& y) {
        return torch::stack({y.log(), torch::log1p(-y)}, 1);
      })
      .log_partition([](auto& z) { return log_gamma(z).sum(1) - log_gamma(z.sum(1)); })
      .log_base_measure([](auto& y) { return -y.log() - torch::log1p(-y); })
      .support([](auto& y) { return y.gt(0).logical_and(y.lt(1)); })
      .sampler([](auto& z, auto generator) {
        const auto x = at::_standard_gamma(z.contiguous(), generator);
        return x.select(1, 0) / x.sum(1);
      });
}

/// Angles around 0 of concentrations κ, [N] (Best & Fisher 1979): the first accepted of so many
/// proposals that it is never none.
inline Tensor sample_von_mises(const Tensor& kappa, const std::optional<at::Generator>& generator) {
  constexpr int64_t kProposals = 64;
  const auto tau = 1 + (1 + 4 * kappa.square()).sqrt();
  const auto rho = (tau - (2 * tau).sqrt()) / (2 * kappa), r = (1 + rho.square()) / (2 * rho);
  const auto u = torch::rand({3, kProposals, kappa.size(0)}, generator, kappa.options());
  const auto z = torch::cos(std::numbers::pi * u[0]), f = (1 + r * z) / (r + z);
  const auto c = kappa * (r - f), angle = (u[1] - 0.5).sign() * f.clamp(-1, 1).acos();
  const auto accepted = c.log() + 1 - c >= u[2].log();
  return angle.gather(0, accepted.to(torch::kByte).argmax(0, /*keepdim=*/true)).squeeze(0);
}

/// z = κ (cos μ, sin μ) of von Mises distributions: log r = κ cos(y - μ) - log 2π I₀(κ).
inline ExponentialFamilyOptions von_mises() {
  return ExponentialFamilyOptions("VonMises")
      .statistics([](auto& y) {
        return torch::stack({y.cos(), y.sin()}, 1);
      })
      .log_partition([](auto& z) {
        const auto kappa = z.square().sum(1).sqrt();
        return torch::log(2 * std::numbers::pi * torch::special_i0e(kappa)) + kappa;
      })
      .sampler([](auto& z, auto generator) {
        const auto mu = torch::atan2(z.select(1, 1), z.select(1, 0));
        return mu + sample_von_mises(z.square().sum(1).sqrt(), generator);
      });
}

/// The lower triangles of [N, D, D], row by row.
inline Tensor lower_triangles(const Tensor& matrices) {
  std::vector<Tensor> entries;
  for (int64_t i = 0; i < matrices.size(1); ++i) {
    for (int64_t j = 0; j <= i; ++j) entries.push_back(matrices.select(1, i).select(1, j));
  }
  return torch::stack(entries, 1);
}

struct VectorAndMatrix {
  Tensor vector, matrix;
};

/// (Σ⁻¹μ, vech Σ⁻¹) as [N, D] and symmetric [N, D, D].
inline VectorAndMatrix split_natural(const Tensor& z) {
  int64_t d = 1;
  while (d * (d + 3) / 2 < z.size(1)) ++d;
  auto matrix = torch::zeros({z.size(0), d, d}, z.options());
  for (int64_t i = 0, k = d; i < d; ++i) {
    for (int64_t j = 0; j <= i; ++j, ++k) {
      matrix.select(1, i).select(1, j).copy_(z.select(1, k));
      matrix.select(1, j).select(1, i).copy_(z.select(1, k));
    }
  }
  return {z.narrow(1, 0, d), matrix};
}

/// Any numbers as such parameters: variances at least one, correlations up to 0.4.
inline Tensor with_valid_precisions(const Tensor& z) {
  const auto [vector, matrix] = split_natural(z);
  const auto diagonal = 1 + matrix.diagonal(0, 1, 2).abs(), root = diagonal.sqrt();
  const auto mixed = 0.4 * matrix.tanh() * root.unsqueeze(1) * root.unsqueeze(2);
  const auto others = mixed - torch::diag_embed(mixed.diagonal(0, 1, 2));
  return torch::cat({vector, lower_triangles(others + torch::diag_embed(diagonal))}, 1);
}

inline Support natural_space(const Tensor& z) {
  const auto [vector, precision] = split_natural(z.to(torch::kDouble));
  const auto covariance = precision.inverse();
  return real_space(covariance.matmul(vector.unsqueeze(2)).squeeze(2),
                    torch::linalg_cholesky(covariance));
}

/// `count` trials for each observation, a number or z's shape without `dim`.
inline auto class_counts(const Tensor& count, int64_t dim) {
  return [=](const Tensor& z) { return enumerate_class_counts(z, count, dim); };
}

inline std::vector<LikelihoodFamily> exponential_families() {
  const auto negative = [](const Tensor& z) { return -0.3 - z.abs(); };
  const auto positive_and_negative = [=](const Tensor& z) {
    const auto half = z.chunk(2, 1);
    return torch::cat({0.8 + half[0].abs(), negative(half[1])}, 1);
  };
  const auto rate = [](const Tensor& z) { return waiting_times(-z); };
  const auto gamma_support = [](const Tensor& z) { return positive_numbers(-z.chunk(2, 1)[1]); };
  const auto few = [](const Tensor& z) { return (z - 1.5).clamp_max(30); };
  const auto with_logits = [](const Tensor& z) {
    return enumerate_geometric_counts(z, z.max().sigmoid().item<double>());
  };
  const auto with_log_probability = [](const Tensor& z) {
    return enumerate_geometric_counts(z, z.max().exp().item<double>());
  };
  const auto first = [](const Tensor& z) { return z.select(1, 0); };
  const auto counts = torch::tensor({1, 4, 2}, torch::kLong);
  const auto three = torch::tensor(3, torch::kLong), five = torch::tensor(5, torch::kLong);
  return {
      {"Multinomial",
       of<Multinomial>(int64_t{3}),
       class_counts(three, 1),
       {{4, 3}, {1, 2}, {2, 3, 2}},
       any_number,
       true},
      {"MultinomialDim0",
       of<Multinomial>(int64_t{5}, 0),
       class_counts(five, 0),
       {{3}, {2, 3}},
       any_number,
       true},
      {"MultinomialCounts",
       of<Multinomial>(counts),
       class_counts(counts, 1),
       {{3, 3}},
       any_number,
       true},
      {"Exponential", of<Exponential>(), rate, {{5}, {4, 2}, {}}, negative},
      {"LogRateExponential",
       of<LogRateExponential>(),
       [](const Tensor& z) { return waiting_times(z.exp()); },
       {{5}, {4, 2}, {}},
       [](const Tensor& z) { return z.clamp(-30, 30); }},
      {"Gamma", of<Gamma>(), gamma_support, {{4, 2}, {3, 4}, {2, 2, 2}}, positive_and_negative},
      {"NegativeBinomial", of<NegativeBinomial>(2.5), with_logits, {{3}, {2, 2}, {}}, few, true},
      {"NegativeBinomialOne", of<NegativeBinomial>(1.0), with_logits, {{2}}, few, true},
      {"NaturalNegativeBinomial",
       of<NaturalNegativeBinomial>(2.5),
       with_log_probability,
       {{3}, {2, 2}, {}},
       negative,
       true},
      {"NaturalFullGaussian",
       of<NaturalFullGaussian>(),
       natural_space,
       {{4, 2}, {2, 5}},
       with_valid_precisions},
      {"Beta",
       of<ExponentialFamily>(beta()),
       [=](const Tensor& z) { return unit_interval(first(z)); },
       {{3, 2}},
       [](const Tensor& z) { return 2 + z.abs(); },
       true},
      {"VonMises",
       of<ExponentialFamily>(von_mises()),
       [=](const Tensor& z) { return circle(first(z)); },
       {{3, 2}},
       [](const Tensor& z) { return z.clamp(-20, 20); },
       true},
  };
}

}  // namespace natgrad::testing
