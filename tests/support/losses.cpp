#include "support/losses.h"

#include "support/loss_parts.h"

namespace natgrad::testing {

const std::vector<LossCase>& losses() {
  static const std::vector<LossCase> table = [] {
    using namespace loss_parts;
    std::vector<LossCase> all;
    for (const auto& part :
         {cross_entropies(), binary_cross_entropies(), losses_of_sigmoids(), location_losses(),
          counts(), squared_errors(), named_likelihoods(), own_losses(), sums_of_terms(),
          squares_by_hand(), classes_by_hand(), coins_by_hand(), counts_by_hand()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return table;
}

}  // namespace natgrad::testing
