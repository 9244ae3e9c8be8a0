// Which archives hold functions, by whatever name and spelling LibTorch takes for one.

#include "libtorch/archive_code.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "support/oracles.h"

namespace natgrad::testing::archive_code_test {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;  // name, content

std::string archive_of(const Records& records) {
  std::string bytes;
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, size_t count) {
    bytes.append(static_cast<const char*>(data), count);
    return count;
  });
  for (const auto& [name, content] : records) {
    writer.writeRecord(name, content.data(), content.size());
  }
  writer.writeEndOfFile();
  return bytes;
}

bool holds_code(const std::string& bytes) {
  const auto read = [&](uint64_t place, void* to, size_t count) {
    const auto start = std::min<size_t>(place, bytes.size());
    const auto there = std::min(count, bytes.size() - start);
    std::memcpy(to, bytes.data() + start, there);
    return there;
  };
  return detail::archive_holds_code(read, bytes.size());
}

const std::string kClass = "class Module(Module):\n  undefined : Tensor\n  def_ : int\n";

TEST(ArchiveCode, TensorsAndTheirNamesAreNone) {
  EXPECT_FALSE(holds_code(archive_of({{"data.pkl", "def f"}, {"code/__torch__.py", kClass}})));
  std::ostringstream saved;
  torch::save(randn({3}, 1), saved);
  EXPECT_FALSE(holds_code(saved.str()));
}

TEST(ArchiveCode, AFunctionIsFoundHoweverItIsWritten) {
  for (const std::string def : {"def f(self)", "def\tf(self)", "\fdef f(self)", "def\\\n f(self)",
                                "x = 1; def f(self)", "def"}) {
    EXPECT_TRUE(holds_code(archive_of({{"code/__torch__.py", kClass + "  " + def}}))) << def;
  }
}

TEST(ArchiveCode, ByWhateverNameItsRecordHas) {
  for (const std::string name : {"CODE/__torch__.py", "code/__torch__/a.PY", "Code/b.Py"}) {
    EXPECT_TRUE(holds_code(archive_of({{name, "def f(self)"}}))) << name;
  }
  EXPECT_TRUE(holds_code(archive_of({{"model.json", "{}"}})));
  EXPECT_TRUE(holds_code(archive_of({{"data.pkl", "1"}, {"Data.pkl", "2"}})));
}

TEST(ArchiveCode, WhatIsNoArchiveThrows) { EXPECT_THROW(holds_code("def f"), c10::Error); }

}  // namespace
}  // namespace natgrad::testing::archive_code_test
