#include "support/results.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <natgrad/version.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "support/output_files.h"

namespace benchmarks {

using examples::Json;

namespace {

/// The arguments as they were given, with spaces between them.
std::string command() {
  std::ifstream file("/proc/self/cmdline");
  std::stringstream text;
  text << file.rdbuf();
  auto words = text.str();
  if (!words.empty()) words.pop_back();
  std::replace(words.begin(), words.end(), '\0', ' ');
  return words;
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

/// What git says, or "unknown". The results of other benchmarks, in docs, are no change.
std::string commit() {
  const auto git =
      std::string("cd '") + NATGRAD_SOURCE_DIR +
      "' && git rev-parse --short=12 HEAD 2>/dev/null && "
      "{ git diff --quiet HEAD -- . ':(exclude)docs' ':(exclude)README.md' || echo +; }";
  std::string answer;
  if (auto* const pipe = popen(git.c_str(), "r")) {
    char buffer[64];
    while (std::fgets(buffer, sizeof buffer, pipe)) answer += buffer;
    pclose(pipe);
  }
  std::erase(answer, '\n');
  return answer.empty() ? "unknown" : answer;
}

}  // namespace

Json provenance() {
  const auto words = command();
  const auto program = words.substr(0, words.find(' '));
  return {{"program", program.substr(program.rfind('/') + 1)},
          {"command", words},
          {"date", fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)))},
          {"commit", commit()},
          {"natgrad", fmt::format("{}.{}.{}", NATGRAD_VERSION_MAJOR, NATGRAD_VERSION_MINOR,
                                  NATGRAD_VERSION_PATCH)},
          {"libtorch", TORCH_VERSION},
          {"compiler", __VERSION__},
          {"processor", processor()},
          {"cores", std::thread::hardware_concurrency()},
          {"threads", torch::get_num_threads()}};
}

void add_json(CLI::App& app, std::string& path) {
  app.add_option("--json", path, "Where to write the tables as JSON, with where they come from")
      ->type_name("FILE");
}

void check_json(const std::string& path) {
  if (!path.empty()) examples::check_place(path);
}

void write_results(const std::string& path, const Page& page, Json settings, Json extra) {
  if (path.empty()) return;
  Json json = {{"provenance", provenance()},
               {"settings", std::move(settings)},
               {"tables", page.tables()},
               {"bars", page.bars()}};
  json.update(extra);
  examples::write_json(path, json);
}

}  // namespace benchmarks
