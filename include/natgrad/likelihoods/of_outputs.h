#pragma once

#include <natgrad/tensor.h>

#include <cstdint>
#include <optional>

namespace natgrad::detail {

/// What a likelihood computes from its outputs on first use, and keeps while these stay as they
/// are: anything written to them in place makes it again.
template <class T>
class OfOutputs {
 public:
  /// What `make` answers for these outputs.
  template <class Make>
  const T& get(const torch::Tensor& outputs, const Make& make) const {
    const uint32_t version = outputs.is_inference() ? 0 : outputs._version();
    if (!value_ || version != version_) {
      value_ = make();
      version_ = version;
    }
    return *value_;
  }

 private:
  mutable std::optional<T> value_;
  mutable uint32_t version_ = 0;
};

}  // namespace natgrad::detail
