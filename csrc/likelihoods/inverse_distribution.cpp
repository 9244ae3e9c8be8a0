#include "likelihoods/inverse_distribution.h"

#include <torch/torch.h>

#include <limits>

namespace natgrad::detail {

using torch::Tensor;

InverseDistribution::InverseDistribution(const NumericalDensity& density, const Domain& domain)
    : labels_(!domain.labels.empty()), nodes_(density.nodes.contiguous()) {
  if (labels_) {
    below_ = density.probabilities.cumsum(1);
    return;
  }
  density_ = (density.log_density - density.log_density.amax(1, /*keepdim=*/true)).exp();
  const auto cells = nodes_.size(1) - 1;
  const auto mean = 0.5 * (density_.narrow(1, 0, cells) + density_.narrow(1, 1, cells));
  below_ = (nodes_.diff(1, 1) * mean).cumsum(1);
}

Tensor InverseDistribution::operator()(const Tensor& uniform) const {
  const auto last = below_.size(1) - 1;
  const auto target = uniform * below_.narrow(1, last, 1);
  const auto k =
      torch::searchsorted(below_, target, /*out_int32=*/false, /*right=*/true).clamp_max(last);
  if (labels_) return nodes_.gather(1, k);
  // The step from the cell's left node for which a step + rise step²/(2 width) is the rest.
  const auto before = torch::where(k > 0, below_.gather(1, (k - 1).clamp_min(0)), 0.0);
  const auto rest = target - before;
  const auto left = nodes_.gather(1, k), width = nodes_.gather(1, k + 1) - left;
  const auto a = density_.gather(1, k), rise = density_.gather(1, k + 1) - a;
  const auto root = (a.square() + 2 * rise * rest / width).clamp_min(0).sqrt();
  const auto step = 2 * rest / (a + root).clamp_min(std::numeric_limits<double>::min());
  return left + torch::minimum(step, width);
}

}  // namespace natgrad::detail
