#pragma once

#include <natgrad/optim/options.h>

#include <exception>
#include <ostream>

#include "fuzz/check.h"
#include "fuzz/program.h"

namespace natgrad::testing::fuzz {

/// What is wrong with an exception of the library's; empty for an error that names natgrad.
std::string fault_of(const std::exception& error);

struct NamedOptions {
  std::string name;
  NaturalGradientOptions options;
};
inline std::ostream& operator<<(std::ostream& out, const NamedOptions& method) {
  return out << method.name;
}
/// The default, and the presets.
std::vector<NamedOptions> all_presets();

/// What is wrong with steps on the case: by the default, and by one of the presets.
std::string failure_of_steps(const Case& the_case, const Program& program, Tally* tally);

}  // namespace natgrad::testing::fuzz
