#pragma once

#include <c10/util/Exception.h>

#include <string_view>

#include "detail.h"

namespace natgrad::detail {

/// Whether memory has run out, which says nothing of what was tried. LibTorch has a type for it on
/// accelerators, and on the CPU a text.
inline bool is_out_of_memory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what_without_backtrace()).find("can't allocate memory") !=
             std::string_view::npos;
}

}  // namespace natgrad::detail
