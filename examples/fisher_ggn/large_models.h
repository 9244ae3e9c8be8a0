#pragma once

#include <string>
#include <vector>

#include "fisher_ggn/setting.h"
#include "support/comparisons.h"

namespace examples {

/// Which networks are compared, and how large.
struct LargeModels {
  std::vector<std::string> models;      ///< of `network_names()`
  std::vector<std::string> families;    ///< of `families()`
  std::vector<std::string> precisions;  ///< "double", "float32"
  int64_t weights = 1'000'000;          ///< at most
  int64_t width = 0;                    ///< instead, if not 0
  int64_t probes = 3;
};

/// The four routes by products with random vectors, no matrix formed, on networks of 10⁶ weights
/// and more. Prints a table, a line a network, family and precision, and answers its
/// numbers.
Json compare_large_models(const Setting& setting, const LargeModels& chosen, Findings& findings);

}  // namespace examples
