#pragma once

#include <torch/types.h>

#include <vector>

namespace examples {

/// A possible y of each of N examples at once, and how much it counts in an expectation over
/// r(y|z).
struct Outcome {
  torch::Tensor y;       ///< [N] or [N, M]
  torch::Tensor weight;  ///< [N]; over all outcomes of an example they sum to 1
};

/// The n-point rule for the standard normal distribution, E[f(ξ)] = Σ weightᵢ f(nodeᵢ), exact for
/// polynomials up to degree 2n - 1.
struct GaussHermite {
  explicit GaussHermite(int64_t n);
  torch::Tensor nodes, weights;  ///< [n]
};

/// Outcomes of independent Gaussians, mean and standard deviation [N, M]: for f a polynomial of
/// degree up to 9 in each y, E[f(y)] is exactly the weighted sum.
std::vector<Outcome> gaussian_outcomes(const torch::Tensor& mean, const torch::Tensor& deviation);

/// All combinations of M values out of `values`, one a row: [n^M, M].
torch::Tensor combinations_of(const torch::Tensor& values, int64_t m);

}  // namespace examples
