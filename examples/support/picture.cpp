#include "support/picture.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <filesystem>

namespace examples {
namespace {

std::string quoted(std::string text) {
  c10::ReplaceAll(text, "'", "'\\''");
  return "'" + text + "'";
}

/// Runs a shell command; returns the last line it printed if it failed, else nothing.
std::string failure_of(const std::string& command) {
  std::string last = "it cannot be started";
  std::FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return last;
  std::array<char, 1024> line{};
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) last = line.data();
  if (last.ends_with('\n')) last.pop_back();
  return pclose(pipe) == 0 ? "" : last;
}

}  // namespace

void draw_picture(const std::string& script, const std::string& output, const std::string& ending) {
  const std::string json = output + ".json", picture = output + ending;
  const auto draw_to = [&](const std::string& target) {
    return fmt::format("{} {} {} {}", quoted(NATGRAD_PYTHON), quoted(NATGRAD_PLOT_DIR "/" + script),
                       quoted(json), quoted(target));
  };
  // Beside its place, which it takes whole or not at all.
  const std::string partial = output + ".partial" + ending, command = draw_to(picture);
  auto failure = failure_of(draw_to(partial));
  std::error_code failed;
  if (failure.empty()) std::filesystem::rename(partial, picture, failed);
  if (failed) failure = failed.message();
  if (failure.empty()) {
    const auto kind = ending == ".html" ? "page" : "picture";
    fmt::print("\nThe {} is in {}, its numbers in {}.\n", kind, picture, json);
  } else {
    std::filesystem::remove(partial, failed);
    fmt::print(
        "\nThe numbers are in {}; no picture was drawn ({}). Once python has matplotlib, this "
        "draws it: {}\n",
        json, failure, command);
  }
}

}  // namespace examples
