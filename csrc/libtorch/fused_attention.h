#pragma once

#include "detail.h"

#include <c10/util/Exception.h>

namespace natgrad::detail {

/// Whether the error says that `scaled_dot_product_attention`, computed by one op, cannot be
/// differentiated twice.
bool is_of_fused_attention(const c10::NotImplementedError& error);

/// While it lives, attention is computed by several ops, each of which can be differentiated
/// twice. A setting of LibTorch for the whole process.
class PlainAttention {
 public:
  PlainAttention();
  ~PlainAttention();
  PlainAttention(const PlainAttention&) = delete;
  PlainAttention& operator=(const PlainAttention&) = delete;

 private:
  struct Backends {
    bool flash, efficient, cudnn, math;
  };
  static Backends enabled();
  static void enable(const Backends& backends);

  Backends before_;
};

}  // namespace natgrad::detail
