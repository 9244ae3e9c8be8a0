#pragma once

// Cases by seed, and what is said of one that fails.

#include <c10/util/Exception.h>

#include <memory>
#include <string>

#include "fuzz/check.h"

namespace natgrad::testing::fuzz {

/// `failure_of` the case of that seed. Where it crashes, or takes a minute, the seed is written to
/// standard error before the program ends.
std::string watched(uint64_t seed, Tally* tally = nullptr);
/// The smallest case with the same failure, in words; for messages.
std::string smallest(uint64_t seed);

/// While it lives, LibTorch's warnings are dropped.
class Quiet {
 public:
  Quiet();

 private:
  std::unique_ptr<c10::WarningHandler> handler_;
  c10::WarningUtils::WarningHandlerGuard guard_;
};

}  // namespace natgrad::testing::fuzz
