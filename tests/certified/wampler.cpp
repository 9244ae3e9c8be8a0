// NIST/ITL Statistical Reference Datasets, linear regression, Wampler1 to Wampler5.

#include <torch/torch.h>

#include "certified/regression.h"

namespace certified {
namespace {

constexpr int64_t kDegree = 5, kPoints = 21;

/// Orthogonal to all polynomials of degree 5 on 0, ..., 20.
Tensor noise() {
  return torch::tensor(
      {759.,   -2048., 2048.,  -2048., 2523.,  -2048., 2048.,  -2048., 1838.,  -2048., 2048.,
       -2048., 1838.,  -2048., 2048.,  -2048., 2523.,  -2048., 2048.,  -2048., 759.},
      torch::kDouble);
}

/// Of Wampler3; those of Wampler4 and Wampler5 are 100 and 10,000 times as large.
Tensor standard_errors() {
  return torch::tensor({2152.32624678170, 2363.55173469681, 779.343524331583, 101.475507550350,
                        5.64566512170752, 0.112324854679312},
                       torch::kDouble);
}

Regression polynomial(const std::string& name, const Tensor& coefficients, double noise_scale) {
  const auto x = torch::arange(kPoints, torch::kDouble);
  std::vector<Tensor> powers = {torch::ones_like(x)};
  for (int64_t i = 1; i <= kDegree; ++i) powers.push_back(powers.back() * x);
  const auto design = torch::stack(powers, 1);
  // Exact: whole numbers, or as many digits as NIST prints.
  const auto y = design.mv(coefficients) + noise_scale * noise();
  Regression regression{name,
                        {torch::zeros({kDegree + 1}, torch::kDouble)},
                        [design, y](const Tensor& b) { return design.mv(b) - y; },
                        coefficients};
  if (noise_scale > 0) regression.standard_errors = noise_scale * standard_errors();
  regression.sum_of_squares = (noise_scale * noise()).square().sum().item<double>();
  return regression;
}

}  // namespace

std::vector<Regression> wampler_polynomials() {
  const auto ones = torch::ones({kDegree + 1}, torch::kDouble);
  const auto tenths = torch::tensor({1., 1e-1, 1e-2, 1e-3, 1e-4, 1e-5}, torch::kDouble);
  return {polynomial("Wampler1", ones, 0), polynomial("Wampler2", tenths, 0),
          polynomial("Wampler3", ones, 1), polynomial("Wampler4", ones, 100),
          polynomial("Wampler5", ones, 10000)};
}

}  // namespace certified
