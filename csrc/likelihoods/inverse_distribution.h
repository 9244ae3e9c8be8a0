#pragma once

#include "detail.h"

#include "likelihoods/numerical_density.h"

namespace natgrad::detail {

/// Draws by the inverse of a distribution function: that of labels, or of the density which is
/// linear between the nodes of a rule.
class InverseDistribution {
 public:
  InverseDistribution(const NumericalDensity& density, const Domain& domain);

  /// y with the distribution function at `uniform`, in [0, 1), double: [n, m] for n distributions.
  torch::Tensor operator()(const torch::Tensor& uniform) const;

 private:
  bool labels_;
  torch::Tensor nodes_;    // [n, K]
  torch::Tensor density_;  // at the nodes, by its largest value
  torch::Tensor below_;    // mass up to the end of each cell, [n, K - 1], or label, [n, K]
};

}  // namespace natgrad::detail
