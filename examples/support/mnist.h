#pragma once

#include "support/dataset.h"

namespace examples {

/// Where Debian's package dataset-fashion-mnist, and so `script/setup --data`, puts its files.
constexpr const char* kFashionMnist = "/usr/share/datasets/fashion-mnist";

/// Reads MNIST's four IDX files, or those of a data set in its form such as Fashion-MNIST, gzipped
/// or not. The images come as rows of 28·28 pixels in [0, 1]; the test part is held out. The data
/// set is called as the folder is.
///
/// Throws `c10::Error` naming the file that is missing or broken, and the remedy.
Dataset read_mnist(const std::string& folder);

}  // namespace examples
