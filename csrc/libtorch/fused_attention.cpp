#include "libtorch/fused_attention.h"

#include <ATen/Context.h>

#include <string_view>

namespace natgrad::detail {

bool is_of_fused_attention(const c10::NotImplementedError& error) {
  const std::string_view what = error.what_without_backtrace();
  return what.find("_scaled_dot_product_") != std::string_view::npos;
}

PlainAttention::Backends PlainAttention::enabled() {
  const auto& context = at::globalContext();
  return {context.userEnabledFlashSDP(), context.userEnabledMemEfficientSDP(),
          context.userEnabledCuDNNSDP(), context.userEnabledMathSDP()};
}

void PlainAttention::enable(const Backends& backends) {
  auto& context = at::globalContext();
  context.setSDPUseFlash(backends.flash);
  context.setSDPUseMemEfficient(backends.efficient);
  context.setSDPUseCuDNN(backends.cudnn);
  context.setSDPUseMath(backends.math);
}

PlainAttention::PlainAttention() : before_(enabled()) {
  enable({.flash = false, .efficient = false, .cudnn = false, .math = true});
}

PlainAttention::~PlainAttention() { enable(before_); }

}  // namespace natgrad::detail
