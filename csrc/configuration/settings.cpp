#include "configuration/settings.h"

#include <algorithm>
#include <limits>

namespace natgrad::detail {

namespace {

std::string shortened(const Json& value) {
  constexpr size_t kLongest = 60;
  const auto text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

}  // namespace

Settings::Settings(std::string where, const Json& json) : where_(std::move(where)) {
  if (json.is_string()) {
    object_ = {{"type", json}};
    return;
  }
  TORCH_CHECK_VALUE(json.is_object(), "natgrad: ", where_,
                    " is a name, or an object {\"type\": name, option: value, ...}, but got ",
                    shortened(json), ".");
  object_ = json;
}

Settings Settings::parse(std::string where, const std::string& text) {
  try {
    return {where, Json::parse(text)};
  } catch (const Json::parse_error& error) {
    C10_THROW_ERROR(ValueError,
                    fmt::format("natgrad: {} is given as the text of a JSON object, not as a "
                                "file's name, and this is none from character {} on: {}",
                                where, error.byte, shortened(text)));
  }
}

std::string Settings::type() {
  require("type");
  return get<std::string>("type", "");
}

const Json* Settings::find(const char* name) {
  if (std::find(known_.begin(), known_.end(), name) == known_.end()) known_.push_back(name);
  const auto found = object_.find(name);
  return found == object_.end() ? nullptr : &*found;
}

void Settings::require(const char* name) const {
  TORCH_CHECK_VALUE(has(name), "natgrad: ", where_, " needs \"", name, "\", but got ",
                    shortened(object_), ".");
}

void Settings::finish() const {
  for (const auto& [name, value] : object_.items()) {
    TORCH_CHECK_VALUE(std::find(known_.begin(), known_.end(), name) != known_.end(),
                      "natgrad: ", where_, " has no option \"", name, "\"; known are ",
                      fmt::format("{}", fmt::join(known_, ", ")), ".");
  }
}

void Settings::refuse(const char* name, const Json& value, const std::string& kind) const {
  C10_THROW_ERROR(ValueError, fmt::format("natgrad: \"{}\" of {} is {}, but got {}.", name, where_,
                                          kind, shortened(value)));
}

void Settings::parse(const Json& value, const char* name, double& target) const {
  if (!value.is_number()) refuse(name, value, "a number");
  target = value.get<double>();
}

void Settings::parse(const Json& value, const char* name, bool& target) const {
  if (!value.is_boolean()) refuse(name, value, "true or false");
  target = value.get<bool>();
}

void Settings::parse(const Json& value, const char* name, int64_t& target) const {
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() &&
                      value.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max()));
  if (!fits) refuse(name, value, "a whole number");
  target = value.get<int64_t>();
}

void Settings::parse(const Json& value, const char* name, uint64_t& target) const {
  if (!value.is_number_unsigned()) refuse(name, value, "a whole number, 0 or more");
  target = value.get<uint64_t>();
}

void Settings::parse(const Json& value, const char* name, std::string& target) const {
  if (!value.is_string()) refuse(name, value, "a text");
  target = value.get<std::string>();
}

}  // namespace natgrad::detail
