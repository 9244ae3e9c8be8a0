#include "libtorch/custom_ops.h"

#include <c10/util/Type.h>

#include <string_view>
#include <typeinfo>

#include "libtorch/op_names.h"

namespace natgrad::detail {

using torch::autograd::Node;

namespace {

constexpr std::string_view kCustom = "torch::autograd::CppNode<";

/// The node's type, in words.
std::string type_of(const Node& node) { return c10::demangle(typeid(node).name()); }

}  // namespace

bool is_custom(const Node& node) { return type_of(node).find(kCustom) != std::string::npos; }

std::string spoken_name(const Node& node) {
  const auto type = type_of(node);
  const auto start = type.find(kCustom);
  if (start != std::string::npos) {
    const auto name = start + kCustom.size();
    return type.substr(name, type.rfind('>') - name);
  }
  return type.find("AccumulateGrad") != std::string::npos ? "a parameter" : op_name(node);
}

}  // namespace natgrad::detail
