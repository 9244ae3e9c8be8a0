#include "support/idx.h"

#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

namespace examples {
namespace {

constexpr int64_t kWord = 4;             // bytes of each number in the header
constexpr uint32_t kBytesMagic = 0x800;  // of unsigned bytes; the lowest byte counts dimensions
constexpr const char* kRemedy =
    "; fetch it again (Fashion-MNIST: `script/setup --data` installs it).";

std::string existing_file(const std::string& path) {
  for (const auto& name : {path, path + ".gz"}) {
    std::error_code unreadable;
    if (std::filesystem::is_regular_file(name, unreadable)) return name;
  }
  TORCH_CHECK(false, path, " and ", path,
              ".gz: neither is there; `script/setup --data` installs Fashion-MNIST's files in "
              "/usr/share/datasets/fashion-mnist.");
}

using GzFile = std::unique_ptr<gzFile_s, decltype(&gzclose)>;

/// All bytes of a file, unzipped if it is gzipped.
std::string read_all(const std::string& path) {
  const GzFile file(gzopen(path.c_str(), "rb"), &gzclose);
  TORCH_CHECK(file, path, ": cannot be opened: ", std::strerror(errno), ".");
  std::string bytes;
  std::vector<char> block(1 << 20);
  int count = 0;
  while ((count = gzread(file.get(), block.data(), block.size())) > 0) {
    bytes.append(block.data(), count);
  }
  int error = Z_OK;  // of a truncated file, gzread itself only says that it ends
  const char* const message = gzerror(file.get(), &error);
  TORCH_CHECK(error == Z_OK, path, ": cannot be unzipped: ", message, kRemedy);
  return bytes;
}

/// The number at the header's word `index`, the most significant byte first.
uint32_t word(const std::string& bytes, int64_t index) {
  uint32_t value = 0;
  for (int64_t k = 0; k < kWord; ++k) {
    value = value << 8 | static_cast<uint8_t>(bytes[index * kWord + k]);
  }
  return value;
}

/// The tensor's shape, as the header has it.
std::vector<int64_t> read_header(const std::string& bytes, int64_t dimensions,
                                 const std::string& path) {
  const auto magic = kBytesMagic + static_cast<uint32_t>(dimensions);
  const auto size = static_cast<int64_t>(bytes.size());
  TORCH_CHECK(size < kWord || word(bytes, 0) == magic, path, ": not an IDX file of bytes with ",
              dimensions, " dimensions: it begins with ", word(bytes, 0), " instead of ", magic,
              kRemedy);
  TORCH_CHECK(size >= (1 + dimensions) * kWord, path, ": its header ends after ", size, " bytes",
              kRemedy);
  std::vector<int64_t> shape;
  for (int64_t k = 1; k <= dimensions; ++k) shape.push_back(word(bytes, k));
  return shape;
}

}  // namespace

torch::Tensor read_idx(const std::string& path, int64_t dimensions) {
  const auto file = existing_file(path);
  auto bytes = read_all(file);
  const auto shape = read_header(bytes, dimensions, file);
  // In double: of a broken header, the product can be too large for a whole number.
  double expected = 1;
  for (const auto extent : shape) expected *= static_cast<double>(extent);
  const int64_t header = (1 + dimensions) * kWord;
  const auto found = static_cast<int64_t>(bytes.size()) - header;
  TORCH_CHECK(expected == static_cast<double>(found), file, ": expected ", at::IntArrayRef(shape),
              " bytes after the header, found ", found, kRemedy);
  return torch::from_blob(bytes.data() + header, shape, torch::kUInt8).clone();
}

}  // namespace examples
