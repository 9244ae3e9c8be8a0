#pragma once

#include <cstdint>

namespace examples {

/// What all parts of fisher_equals_ggn are told.
struct Setting {
  uint64_t seed = 0;
  int64_t examples = 6;
  /// What natgrad's GGN is multiplied by before it is compared: with anything but 1 the verdicts
  /// must fail.
  double tamper = 1;
};

/// ‖A - B‖/‖B‖ of matrices that theory calls equal, in double: rounding, of sums of up to 10⁴
/// terms and of quadratures that have converged.
inline constexpr double kEqualMatrices = 1e-10;

}  // namespace examples
