#include "support/memory_meter.h"

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <unordered_map>

namespace benchmarks {
namespace {

/// Counts what another allocator gives. Its own deleter knows a piece by its address alone, as
/// LibTorch asks of an allocator whose pieces are taken and given back without a tensor.
class CountingAllocator final : public c10::Allocator {
 public:
  explicit CountingAllocator(c10::Allocator* wrapped) : wrapped_(wrapped) {}

  c10::DataPtr allocate(size_t bytes) override {
    auto memory = wrapped_->allocate(bytes);
    const auto device = memory.device();
    void* const data = memory.release_context();
    sizes_[data] = static_cast<int64_t>(bytes);
    now += sizes_[data];
    peak = std::max(peak, now);
    return {data, data, raw_deleter(), device};
  }
  void give_back(void* data) {
    const auto found = sizes_.find(data);
    if (found != sizes_.end()) {  // else it was taken before the meter began
      now -= found->second;
      sizes_.erase(found);
    }
    wrapped_->raw_deallocate(data);
  }

  c10::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  int64_t now = 0, peak = 0;

 private:
  c10::Allocator* wrapped_;
  std::unordered_map<void*, int64_t> sizes_;
};

/// Never destroyed: tensors may outlive every meter.
CountingAllocator& counting() {
  static auto* const allocator = new CountingAllocator(c10::GetCPUAllocator());
  return *allocator;
}

c10::DeleterFnPtr CountingAllocator::raw_deleter() const {
  return [](void* data) { counting().give_back(data); };
}

}  // namespace

MemoryMeter::MemoryMeter() : replaced_(c10::GetCPUAllocator()), before_(counting().now) {
  c10::SetCPUAllocator(&counting());
  forget_peak();
}

MemoryMeter::~MemoryMeter() { c10::SetCPUAllocator(replaced_); }

int64_t MemoryMeter::bytes() const { return counting().now - before_; }
int64_t MemoryMeter::peak() const { return counting().peak - before_; }
void MemoryMeter::forget_peak() { counting().peak = counting().now; }

}  // namespace benchmarks
