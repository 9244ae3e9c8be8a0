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

/// `--output PATH`, where <output>.json and <output>.png go; one of these endings is taken off.
void add_output(CLI::App& app, std::string& output);

/// Reads the command line. Asked for help, or given a wrong value, it says so and ends the program.
void parse_or_exit(CLI::App& app, int argc, char** argv);

/// Runs `body`, and turns what it throws into one line that begins with `program`. Returns what
/// `main` returns.
int exit_code(const std::string& program, const std::function<void()>& body);

}  // namespace examples
