#pragma once

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <string>

namespace examples {

/// Keeps its keys in the order in which they are written.
using Json = nlohmann::ordered_json;

/// A tensor as nested arrays, in double. What is not finite is written as null.
Json to_json(const torch::Tensor& tensor);

/// Whole or not at all. Throws `c10::Error` if `path` cannot be written.
void write_json(const std::string& path, const Json& json);

}  // namespace examples
