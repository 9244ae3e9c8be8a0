#include "support/picture.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>

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

void draw_picture(const std::string& script, const std::string& output) {
  const std::string json = output + ".json", png = output + ".png";
  const auto command =
      fmt::format("{} {} {} {}", quoted(NATGRAD_PYTHON), quoted(NATGRAD_PLOT_DIR "/" + script),
                  quoted(json), quoted(png));
  const auto failure = failure_of(command);
  if (failure.empty()) {
    fmt::print("\nThe picture is in {}, its numbers in {}.\n", png, json);
  } else {
    fmt::print(
        "\nThe numbers are in {}; no picture was drawn ({}). Once python has matplotlib, this "
        "draws it: {}\n",
        json, failure, command);
  }
}

}  // namespace examples
