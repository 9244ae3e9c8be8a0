#include "support/command_line.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>

namespace examples {
namespace {

std::string without_ending(const std::string& output) {
  std::filesystem::path path(output);
  if (path.extension() == ".png" || path.extension() == ".json") path.replace_extension();
  return path.string();
}

}  // namespace

void add_seed(CLI::App& app, uint64_t& seed, const std::string& description) {
  app.add_option("--seed", seed, description)
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->type_name("N")
      ->capture_default_str();
}

void add_output(CLI::App& app, std::string& output) {
  app.add_option("--output", output, "Where to write: <output>.json and <output>.png")
      ->transform(without_ending)
      ->type_name("PATH")
      ->capture_default_str();
}

void parse_or_exit(CLI::App& app, int argc, char** argv) {
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return fmt::format("{}: {} (--help lists the options).\n", failed->get_name(), error.what());
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
}

int exit_code(const std::string& program, const std::function<void()>& body) {
  try {
    body();
    return EXIT_SUCCESS;
  } catch (const c10::Error& error) {
    fmt::print(stderr, "{}: {}\n", program, error.what_without_backtrace());
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", program, error.what());
  }
  return EXIT_FAILURE;
}

}  // namespace examples
