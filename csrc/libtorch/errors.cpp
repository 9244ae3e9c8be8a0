#include "libtorch/errors.h"

#include <string_view>

namespace natgrad::detail {

GraphError kind_of(const c10::Error& error) {
  const std::string_view what = error.what_without_backtrace();
  const auto says = [what](std::string_view part) {
    return what.find(part) != std::string_view::npos;
  };
  if (says("backward through the graph a second time")) return GraphError::Freed;
  if (says("modified by an inplace operation")) return GraphError::ChangedInPlace;
  if (says("does not require grad")) return GraphError::NoGradient;
  if (says("is not implemented") || says("not differentiable")) {
    return GraphError::NotDifferentiable;
  }
  return GraphError::Other;
}

std::string without_prefix(std::string message) {
  constexpr std::string_view kPrefix = "natgrad: ";
  if (message.starts_with(kPrefix)) message.erase(0, kPrefix.size());
  return message;
}

}  // namespace natgrad::detail
