#pragma once

#include <vector>

#include "theory/section.h"

namespace examples::theory {

#define SECTION(name) Section name();
#include "theory/sections.def"
#undef SECTION

/// In the order of the page.
inline std::vector<Section> all_sections() {
#define SECTION(name) name(),
  return {
#include "theory/sections.def"
  };
#undef SECTION
}

}  // namespace examples::theory
