#pragma once

#include <string>

namespace examples {

/// Throws `c10::Error` unless a file can be written at `path`. Leaves nothing.
void check_place(const std::string& path);

/// Throws `c10::Error` unless <output>.json and <output><ending> can be written: better before
/// training than after. Leaves nothing.
void check_output(const std::string& output, const std::string& ending = ".png");

/// Writes a file that takes its place whole or not at all. Throws `c10::Error` if it cannot be
/// written, with what was there as it was.
void write_whole(const std::string& path, const std::string& text);

}  // namespace examples
