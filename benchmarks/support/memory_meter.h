#pragma once

#include <c10/core/Allocator.h>

#include <cstdint>

namespace benchmarks {

/// While one lives, it counts the bytes that LibTorch's tensors on the CPU take.
/// One at a time, on one thread.
/// What libraries below LibTorch (oneDNN, BLAS) take for themselves is not seen.
class MemoryMeter {
 public:
  MemoryMeter();
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  /// Of what was taken since the meter began.
  int64_t bytes() const;
  /// The most at once since the meter began, or `forget_peak` was called.
  int64_t peak() const;
  void forget_peak();

 private:
  c10::Allocator* replaced_;
  int64_t before_;
};

}  // namespace benchmarks
