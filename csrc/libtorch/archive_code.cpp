#include "libtorch/archive_code.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <memory>
#include <string_view>

namespace natgrad::detail {
namespace {

class Bytes final : public caffe2::serialize::ReadAdapterInterface {
 public:
  Bytes(const ReadBytes& read, size_t size) : read_(read), size_(size) {}
  size_t size() const override { return size_; }
  size_t read(uint64_t place, void* to, size_t count, const char*) const override {
    return read_(place, to, count);
  }

 private:
  const ReadBytes& read_;
  size_t size_;
};

/// Of TorchScript, in which a function is a `def`, on a line of its own or within a class.
bool defines_a_function(std::string_view code) {
  while (!code.empty()) {
    const auto line = code.substr(0, code.find('\n'));
    const auto word = line.find_first_not_of(" \t");
    if (word != line.npos && line.substr(word).starts_with("def ")) return true;
    code.remove_prefix(std::min(line.size() + 1, code.size()));
  }
  return false;
}

}  // namespace

bool archive_holds_code(const ReadBytes& read, size_t size) {
  caffe2::serialize::PyTorchStreamReader archive(std::make_shared<Bytes>(read, size));
  for (const auto& name : archive.getAllRecords()) {
    if (!name.starts_with("code/") || !name.ends_with(".py")) continue;
    const auto [code, length] = archive.getRecord(name);
    if (defines_a_function({static_cast<const char*>(code.get()), length})) return true;
  }
  return false;
}

}  // namespace natgrad::detail
