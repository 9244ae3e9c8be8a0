#pragma once

#include <map>
#include <string>

#include "fuzz/case.h"

namespace natgrad::testing::fuzz {

/// What became of the cases: how often each matrix was held against its reference, how often it was
/// refused, and how steps ended.
using Tally = std::map<std::string, int64_t>;

/// What is wrong with the library's answers to a case; empty where nothing is.
///
/// Each matrix is that of elementary autograd, or is refused by an error of natgrad's own; the
/// graph is afterwards what it was; a step leaves finite parameters, or throws and leaves all as it
/// was.
std::string failure_of(const Case& the_case, Tally* tally = nullptr);

}  // namespace natgrad::testing::fuzz
