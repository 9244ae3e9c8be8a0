#pragma once

#include "detail.h"

#include <cstdint>
#include <string>

namespace natgrad::detail {

/// A digest of bytes, in order (FNV-1a, 64 bits): any single byte that differs changes it.
class Digest {
 public:
  void add(const void* bytes, size_t count);
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

/// A file that takes its place whole or not at all: it is written beside `path`, as <path>.partial,
/// and renamed. What a process that was killed left of it is overwritten by the next.
///
/// Throws `c10::Error`, with the file at `path` as it was, where it cannot be written and while
/// another one of the same path is being written.
class WholeFile {
 public:
  explicit WholeFile(const std::string& path);
  /// Unless it was committed, it leaves nothing.
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  /// Appends. Never throws, since LibTorch's writer ends the program if it does: a failure is told
  /// by `commit`.
  void write(const void* bytes, size_t count) noexcept;
  /// Brings it to the disk, and to its place.
  void commit();

 private:
  void open();
  bool is_at_its_name() const;
  void check(bool succeeded) const;
  [[noreturn]] void fail(const std::string& reason) const;

  std::string path_, partial_;
  int file_ = -1;
  int error_ = 0;  // of the first write that failed
};

}  // namespace natgrad::detail
