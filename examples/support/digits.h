#pragma once

#include "support/dataset.h"

namespace examples {

/// Reads handwritten digits from a CSV file: 64 pixels of 0..16, then the class 0..9, in each line
/// (see data/README.md). The pixels are divided by 16; 360 digits, chosen by `seed`, are held out.
///
/// Throws `c10::Error` with the line and column of whatever is not so.
Dataset read_digits(const std::string& path, uint64_t seed);

}  // namespace examples
