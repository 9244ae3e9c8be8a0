#pragma once

#include "support/dataset.h"

namespace examples {

/// Reads MNIST's four unzipped IDX files, with pixels in [0, 1]; its test part is held out.
///
/// Throws `c10::Error` naming the file that is missing or broken.
Dataset read_mnist(const std::string& folder);

}  // namespace examples
