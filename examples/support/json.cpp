#include "support/json.h"

#include <c10/util/Exception.h>

#include <fstream>

namespace examples {
namespace {

void check_file(const std::ofstream& file, const std::string& path) {
  TORCH_CHECK(file, path, ": cannot be written; --output names another place.");
}

}  // namespace

Json to_json(const torch::Tensor& tensor) {
  if (tensor.dim() == 0) return tensor.item<double>();
  auto array = Json::array();
  for (const auto& element : tensor.cpu().unbind()) array.push_back(to_json(element));
  return array;
}

void write_json(const std::string& path, const Json& json) {
  std::ofstream file(path);
  file << json << '\n' << std::flush;
  check_file(file, path);
}

void check_writable(const std::string& path) {
  // Appending keeps what an earlier run left, should this one be interrupted.
  check_file(std::ofstream(path, std::ios::app), path);
}

}  // namespace examples
