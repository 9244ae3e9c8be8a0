#include "support/output_files.h"

#include <c10/util/Exception.h>

#include <filesystem>
#include <fstream>

namespace examples {
namespace fs = std::filesystem;
namespace {

std::string partial_of(const std::string& path) { return path + ".partial"; }

void check_written(bool is_written, const std::string& path) {
  if (is_written) return;
  std::error_code none;
  fs::remove(partial_of(path), none);
  TORCH_CHECK(false, path, ": cannot be written; name another place.");
}

}  // namespace

void check_place(const std::string& path) {
  std::error_code none;
  const auto status = fs::status(path, none);
  TORCH_CHECK(!fs::exists(status) || fs::is_regular_file(status), path,
              ": is no file that could be replaced; name another place.");
  check_written(static_cast<bool>(std::ofstream(partial_of(path), std::ios::app)), path);
  fs::remove(partial_of(path), none);
}

void check_output(const std::string& output, const std::string& ending) {
  for (const auto& one : {std::string(".json"), ending}) check_place(output + one);
}

void write_whole(const std::string& path, const std::string& text) {
  {
    std::ofstream file(partial_of(path), std::ios::binary);
    file << text << std::flush;
    check_written(static_cast<bool>(file), path);
  }
  std::error_code failed;
  fs::rename(partial_of(path), path, failed);
  check_written(!failed, path);
}

}  // namespace examples
