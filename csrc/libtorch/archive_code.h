#pragma once

#include "detail.h"

#include <cstddef>
#include <cstdint>
#include <functional>

namespace natgrad::detail {

/// Reads `count` bytes from `place` on to `to`, and answers how many there were.
using ReadBytes = std::function<size_t(uint64_t place, void* to, size_t count)>;

/// Whether an archive of LibTorch's, of `size` bytes, may hold functions. Loading runs some of them
/// (`__setstate__`); archives of tensors and numbers have none. Throws `c10::Error` if it is no
/// archive.
bool archive_holds_code(const ReadBytes& read, size_t size);

}  // namespace natgrad::detail
