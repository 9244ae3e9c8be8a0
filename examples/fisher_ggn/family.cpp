#include "fisher_ggn/family.h"

#include <natgrad/graph/marks.h>
#include <torch/torch.h>

#include <algorithm>

#include "fisher_ggn/family_tables.h"

namespace examples {

using torch::Tensor;

Tensor Family::loss(const Tensor& z, const Tensor& y) const {
  return torch_loss ? torch_loss(z, y) : natgrad::nll(likelihood(z), y);
}

Tensor Family::observed_targets(int64_t examples, torch::ScalarType dtype) const {
  return likelihood(domain(torch::randn({examples, width}, dtype)))->sample();
}

const std::vector<Family>& families() {
  static const auto all = [] {
    std::vector<Family> lines;
    for (const auto& part : {discrete_families(), gaussian_families(), positive_families(),
                             location_families(), families_of_ones_own()}) {
      lines.insert(lines.end(), part.begin(), part.end());
    }
    return lines;
  }();
  return all;
}

const Family& family_named(const std::string& name) {
  const auto found = std::ranges::find(families(), name, &Family::name);
  TORCH_CHECK(found != families().end(), "there is no family ", name, ".");
  return *found;
}

}  // namespace examples
