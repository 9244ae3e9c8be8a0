#include "libtorch/archive_code.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <set>
#include <string>
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

/// Whether the word `def`, without which TorchScript has no function, stands anywhere.
bool may_define_a_function(std::string_view code) {
  constexpr std::string_view kDef = "def";
  const auto is_of_a_name = [&](size_t i) {
    return i < code.size() && (std::isalnum(static_cast<unsigned char>(code[i])) || code[i] == '_');
  };
  for (auto at = code.find(kDef); at != code.npos; at = code.find(kDef, at + 1)) {
    if (!(at > 0 && is_of_a_name(at - 1)) && !is_of_a_name(at + kDef.size())) return true;
  }
  return false;
}

/// LibTorch looks records up without regard to case.
std::string in_lower_case(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

}  // namespace

bool archive_holds_code(const ReadBytes& read, size_t size) {
  caffe2::serialize::PyTorchStreamReader archive(std::make_shared<Bytes>(read, size));
  std::set<std::string> known;
  for (const auto& record : archive.getAllRecords()) {
    const auto name = in_lower_case(record);
    // Of two by one name it is not told which is read; a model.json is of another, older format.
    if (!known.insert(name).second || name == "model.json") return true;
    if (!name.starts_with("code/") || !name.ends_with(".py")) continue;
    const auto [code, length] = archive.getRecord(record);
    if (may_define_a_function({static_cast<const char*>(code.get()), length})) return true;
  }
  return false;
}

}  // namespace natgrad::detail
