#include "support/json.h"

#include "support/output_files.h"

namespace examples {
Json to_json(const torch::Tensor& tensor) {
  if (tensor.dim() == 0) return tensor.item<double>();
  auto array = Json::array();
  for (const auto& element : tensor.cpu().unbind()) array.push_back(to_json(element));
  return array;
}

void write_json(const std::string& path, const Json& json) {
  write_whole(path, json.dump() + '\n');
}

}  // namespace examples
