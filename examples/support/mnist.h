#pragma once

#include "support/classification_data.h"

namespace examples {

/// Reads MNIST's four unzipped IDX files, with pixels in [0, 1]; its test part is held out.
///
/// Throws `c10::Error` naming the file that is missing or broken.
ClassificationData read_mnist(const std::string& folder);

}  // namespace examples
