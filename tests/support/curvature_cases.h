#pragma once

// Which networks are tried under which losses: all losses on the plain network, and all networks
// under a few losses of different kinds.

#include <string>
#include <vector>

#include "support/losses.h"
#include "support/networks.h"

namespace natgrad::testing {

struct CurvatureCase {
  std::string name;
  NetworkCase network;
  LossCase loss;
};

inline std::ostream& operator<<(std::ostream& out, const CurvatureCase& c) { return out << c.name; }

inline std::vector<CurvatureCase> curvature_cases(const std::vector<LossCase>& losses) {
  const std::vector<std::string> kinds = {"CrossEntropyMean", "HeadsOfTwoFamilies",
                                          "NllGaussianMean", "OwnLossOfTwoOutputs"};
  std::vector<CurvatureCase> cases;
  for (const auto& network : networks()) {
    for (const auto& loss : losses) {
      const bool chosen = std::find(kinds.begin(), kinds.end(), loss.name) != kinds.end();
      if (network.name != "Tanh" && !chosen) continue;
      cases.push_back({network.name + "Under" + loss.name, network, loss});
    }
  }
  return cases;
}

}  // namespace natgrad::testing
