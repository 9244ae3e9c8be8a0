#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace examples {

/// `--seed N`; `description` says what it is the seed of.
void add_seed(CLI::App& app, uint64_t& seed, const std::string& description);

/// For `check`: not a number is in every range, as CLI11 sees it.
std::string not_nan(const std::string& text);

/// `--output PATH`, where <output>.json and <output><ending> go; one of these endings is taken off.
void add_output(CLI::App& app, std::string& output, const std::string& ending = ".png");

/// Reads the command line. Asked for help, or given a wrong value, it says so and ends the program.
void parse_or_exit(CLI::App& app, int argc, char** argv);

/// `--resume`, to go on from where Ctrl-C has ended a run of the same options.
void add_resume(CLI::App& app, bool& resume);

/// Runs `body`, and turns what it throws into one line that begins with `program`. Returns what
/// `main` returns: 130 where Ctrl-C has ended it, 1 after any other error, one of writing to
/// standard output included.
int exit_code(const std::string& program, const std::function<void()>& body);

}  // namespace examples
