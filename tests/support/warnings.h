#pragma once

// LibTorch's warnings, to be looked at.

#include <c10/util/Exception.h>

#include <string>
#include <string_view>
#include <vector>

namespace natgrad::testing {

/// Collects LibTorch's warnings while it lives.
class Warnings : public c10::WarningHandler {
 public:
  Warnings() : guard_(this) {}
  void process(const c10::Warning& warning) override { texts.push_back(warning.msg()); }
  /// How many contain `needle`.
  int count(std::string_view needle) const {
    int count = 0;
    for (const auto& text : texts) count += text.find(needle) != std::string::npos;
    return count;
  }
  std::vector<std::string> texts;

 private:
  c10::WarningUtils::WarningHandlerGuard guard_;
};

}  // namespace natgrad::testing
