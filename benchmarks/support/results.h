#pragma once

#include <string>

#include "support/page.h"

namespace CLI {
class App;
}

namespace benchmarks {

/// Where a figure comes from: {"program", "command", "date", "commit", "natgrad", "libtorch",
/// "compiler", "processor", "cores", "threads"}. The commit is that of the sources at this moment,
/// with a + where they differ from it.
examples::Json provenance();

/// `--json FILE`.
void add_json(CLI::App& app, std::string& path);

/// Throws `c10::Error` unless `path`, if it is not empty, can be written: better before the hours
/// than after.
void check_json(const std::string& path);

/// Writes to `path`, unless it is empty, the page's tables and bars with `settings` (seeds, ...)
/// and their provenance; whole, or not at all. `extra` is further data of the program's own.
void write_results(const std::string& path, const Page& page, examples::Json settings,
                   examples::Json extra = examples::Json::object());

}  // namespace benchmarks
