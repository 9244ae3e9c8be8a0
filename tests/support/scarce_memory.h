#pragma once

// Memory that runs out at a chosen allocation, wherever in the library or in LibTorch that is.

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <limits>
#include <new>
#include <string_view>
#include <thread>

namespace natgrad::testing {

/// What is thrown where there is none: LibTorch's type for it on accelerators, its text on the CPU
/// (a plain c10::Error), and the language's.
enum class Shortage { OutOfMemoryError, CpuText, BadAlloc };

/// LibTorch's allocator of tensors on the CPU, except that allocations can be made to fail; those
/// of the thread that asked for it.
class ScarceMemory final : public c10::Allocator {
 public:
  static constexpr std::string_view kText = "can't allocate memory: none was left, for a test";

  /// There is one, and it stays: tensors refer to the allocator that they are from.
  static ScarceMemory& the() {
    static auto* const memory = new ScarceMemory();
    return *memory;
  }

  /// From now on the k-th allocation fails (1 is the next); if `for_good` all after it too.
  void run_out_at(int64_t k, Shortage shortage, bool for_good) {
    thread_ = std::this_thread::get_id();
    allocations_ = 0;
    first_failure_ = k;
    shortage_ = shortage;
    for_good_ = for_good;
  }
  /// Only counts, from now on.
  void count() { run_out_at(std::numeric_limits<int64_t>::max(), shortage_, false); }
  void recover() { first_failure_ = 0; }
  /// Since run_out_at, in its thread.
  int64_t allocations() const { return allocations_; }

  c10::DataPtr allocate(size_t bytes) override {
    if (first_failure_ > 0 && std::this_thread::get_id() == thread_) {
      ++allocations_;
      const bool fails =
          for_good_ ? allocations_ >= first_failure_ : allocations_ == first_failure_;
      if (fails) fail();
    }
    return own_.allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return own_.raw_deleter(); }
  bool is_simple_data_ptr(const c10::DataPtr& pointer) const override {
    return own_.is_simple_data_ptr(pointer);
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    own_.copy_data(to, from, bytes);
  }

 private:
  ScarceMemory() : own_(*c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, /*priority=*/255); }

  void fail() const {
    if (shortage_ == Shortage::BadAlloc) throw std::bad_alloc();
    TORCH_CHECK_WITH(OutOfMemoryError, shortage_ != Shortage::OutOfMemoryError, kText);
    TORCH_CHECK(false, kText);
  }

  c10::Allocator& own_;
  std::thread::id thread_;
  int64_t allocations_ = 0, first_failure_ = 0;
  Shortage shortage_ = Shortage::OutOfMemoryError;
  bool for_good_ = false;
};

}  // namespace natgrad::testing
