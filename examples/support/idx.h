#pragma once

#include <torch/types.h>

#include <string>

namespace examples {

/// Reads an IDX file of bytes with `dimensions` dimensions: the file at `path`, or the gzipped one
/// at `path`.gz.
///
/// Throws `c10::Error` naming the file that is missing, broken or not of that kind.
torch::Tensor read_idx(const std::string& path, int64_t dimensions);

}  // namespace examples
