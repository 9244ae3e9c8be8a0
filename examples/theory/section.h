#pragma once

#include <string>

#include "support/dataset.h"
#include "support/findings.h"

namespace examples::theory {

/// What all sections may take their problems from.
struct Material {
  Dataset digits;
  uint64_t seed = 0;
};

/// A section of the report: a file in this folder, and a line in sections.def.
struct Section {
  std::string name;   ///< for --only
  std::string title;  ///< as on the page
  std::string source;
  void (*run)(Findings& findings, const Material& material);
};

}  // namespace examples::theory
