#include "optim/whole_file.h"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace natgrad::detail {

namespace fs = std::filesystem;

namespace {

/// Where a file of that name is: a link stays, what it names is replaced.
std::string place_of(const std::string& path) {
  std::error_code none;
  return fs::is_symlink(path, none) ? fs::weakly_canonical(path, none).string() : path;
}

std::string reason_of(int error) { return std::generic_category().message(error); }

/// Brings what a folder says of its files to the disk, where the file system can.
void synchronise_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

void Digest::add(const void* bytes, size_t count) {
  constexpr uint64_t kPrime = 0x100000001b3;
  const auto* byte = static_cast<const unsigned char*>(bytes);
  for (size_t i = 0; i < count; ++i) value_ = (value_ ^ byte[i]) * kPrime;
}

WholeFile::WholeFile(const std::string& path)
    : path_(place_of(path)), partial_(path_ + ".partial") {
  std::error_code none;
  const auto kind = fs::status(path_, none).type();
  // Renaming would replace a device or a pipe.
  if (kind != fs::file_type::not_found && kind != fs::file_type::regular &&
      kind != fs::file_type::none) {
    fail(kind == fs::file_type::directory ? "it is a folder" : "it is no regular file");
  }
  open();
}

/// Opens the partial file and locks it: two that write to one would end as a mixture. One that was
/// renamed while this waited to open it is another's result.
void WholeFile::open() {
  do {
    if (file_ >= 0) ::close(file_);
    file_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    check(file_ >= 0);
    const bool is_busy = ::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (is_busy) {
      ::close(std::exchange(file_, -1));
      fail("it is being saved to by another process or thread");
    }
  } while (!is_at_its_name());
  const bool is_empty = ::ftruncate(file_, 0) == 0;
  if (!is_empty) error_ = errno;
}

bool WholeFile::is_at_its_name() const {
  struct stat opened {
  }, named{};
  return ::fstat(file_, &opened) == 0 && ::stat(partial_.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

WholeFile::~WholeFile() {
  if (file_ < 0) return;
  ::unlink(partial_.c_str());
  ::close(file_);
}

void WholeFile::write(const void* bytes, size_t count) noexcept {
  const auto* next = static_cast<const char*>(bytes);
  while (count > 0 && error_ == 0) {
    const auto written = ::write(file_, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) error_ = written < 0 ? errno : EIO;
    if (written <= 0) return;
    next += written;
    count -= static_cast<size_t>(written);
  }
}

void WholeFile::commit() {
  if (error_ != 0) fail(reason_of(error_));
  check(::fsync(file_) == 0);
  check(::rename(partial_.c_str(), path_.c_str()) == 0);
  ::close(std::exchange(file_, -1));
  synchronise_folder(fs::path(path_).parent_path());
}

void WholeFile::check(bool succeeded) const {
  if (!succeeded) fail(reason_of(errno));
}

void WholeFile::fail(const std::string& reason) const {
  TORCH_CHECK(false, "natgrad: ", path_, " cannot be saved (", reason,
              "); what was there is as it was: make room, or name another place.");
}

}  // namespace natgrad::detail
