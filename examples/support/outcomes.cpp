#include "support/outcomes.h"

#include <torch/torch.h>

namespace examples {

using torch::Tensor;

// Golub & Welsch 1969: the nodes are the eigenvalues of the symmetric tridiagonal matrix that the
// recurrence x Heₖ = Heₖ₊₁ + k Heₖ₋₁ of the Hermite polynomials gives, √k beside its diagonal; the
// weights are the squares of the eigenvectors' first components.
GaussHermite::GaussHermite(int64_t n) {
  const auto beside = torch::arange(1, n, torch::kDouble).sqrt();
  const auto [values, vectors] = torch::linalg_eigh(beside.diag(1) + beside.diag(-1));
  nodes = values;
  weights = vectors[0].square();
}

Tensor combinations_of(const Tensor& values, int64_t m) {
  return torch::cartesian_prod(std::vector<Tensor>(static_cast<size_t>(m), values)).view({-1, m});
}

std::vector<Outcome> gaussian_outcomes(const Tensor& mean, const Tensor& deviation) {
  constexpr int64_t kPoints = 5;  // score scoreᵀ has degree 4 in y at most
  const GaussHermite rule(kPoints);
  const auto nodes = combinations_of(rule.nodes, mean.size(1));
  const auto weights = combinations_of(rule.weights, mean.size(1)).prod(1);
  std::vector<Outcome> outcomes;
  for (int64_t k = 0; k < nodes.size(0); ++k) {
    outcomes.push_back({mean + deviation * nodes[k], weights[k].expand({mean.size(0)})});
  }
  return outcomes;
}

}  // namespace examples
