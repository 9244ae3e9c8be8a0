#include "support/command_line.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "support/interruption.h"

namespace examples {
namespace {

/// CLI11 takes a number that is too large for the largest.
std::string is_seed(const std::string& text) {
  int64_t number = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && stop == text.data() + text.size() && number >= 0;
  return is_number ? "" : "'" + text + "' is not a whole number from 0 to 2^63 - 1";
}

std::string names_a_file(const std::string& output) {
  return std::filesystem::path(output).has_filename() ? "" : "'" + output + "' names no file";
}

std::string without_ending(const std::string& output, const std::string& ending) {
  std::filesystem::path path(output);
  if (path.extension() == ending || path.extension() == ".json") path.replace_extension();
  return path.string();
}

}  // namespace

void add_seed(CLI::App& app, uint64_t& seed, const std::string& description) {
  app.add_option("--seed", seed, description)
      ->check(is_seed)
      ->type_name("N")
      ->capture_default_str();
}

void add_output(CLI::App& app, std::string& output, const std::string& ending) {
  app.add_option("--output", output, "Where to write: <output>.json and <output>" + ending)
      ->transform([ending](const std::string& path) { return without_ending(path, ending); })
      ->check(names_a_file)
      ->type_name("PATH")
      ->capture_default_str();
}

void add_resume(CLI::App& app, bool& resume) {
  app.add_flag("--resume", resume, "Go on from where Ctrl-C has ended a run of the same options");
}

std::string not_nan(const std::string& text) {
  return std::isnan(std::strtod(text.c_str(), nullptr)) ? text + " is not a number" : "";
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
  const auto say = [&](std::string message) {
    std::fflush(stdout);  // what it said before comes before
    fmt::print(stderr, "{}: {}\n", program, message.substr(0, message.find('\n')));
    return EXIT_FAILURE;
  };
  try {
    body();
    const bool is_said = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    return is_said ? EXIT_SUCCESS : say("standard output cannot be written.");
  } catch (const Interrupted& interruption) {
    say(interruption.what());
    return kInterruptedExit;
  } catch (const c10::Error& error) {
    return say(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return say(error.what());
  }
}

}  // namespace examples
