#pragma once

#include "detail.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace natgrad::detail {

using Json = nlohmann::json;

/// One JSON object, read name by name; what nobody has read in the end is refused.
class Settings {
 public:
  /// `where`: how messages call the object, as in "the solver".
  Settings(std::string where, const Json& json);
  /// Of a text, which has to be one object.
  static Settings parse(std::string where, const std::string& text);

  /// "type", or the whole where it is only a name.
  std::string type();
  bool has(const char* name) const { return object_.contains(name); }
  /// The value of this name, or `otherwise` where there is none.
  template <class T>
  T get(const char* name, T otherwise) {
    read(name, otherwise);
    return otherwise;
  }
  /// Sets `target`, which stays as it is where the name is not given.
  template <class T>
  void read(const char* name, T& target) {
    if (const auto* value = find(name)) parse(*value, name, target);
  }
  /// The same of one of several, by its name.
  template <class T>
  void choose(const char* name, const std::map<std::string, T>& choices, T& target) {
    const auto* value = find(name);
    if (!value) return;
    std::string chosen;
    parse(*value, name, chosen);
    const auto found = choices.find(chosen);
    if (found == choices.end()) {
      std::vector<std::string> known;
      for (const auto& [choice, unused] : choices) known.push_back('"' + choice + '"');
      refuse(name, *value, fmt::format("one of {}", fmt::join(known, ", ")));
    }
    target = found->second;
  }
  /// The JSON of this name, or null.
  const Json* find(const char* name);
  /// Throws unless the name is given.
  void require(const char* name) const;
  /// Throws for the first name that was not read, listing those that were.
  void finish() const;

  [[noreturn]] void refuse(const char* name, const Json& value, const std::string& kind) const;
  const std::string& where() const { return where_; }

 private:
  void parse(const Json& value, const char* name, double& target) const;
  void parse(const Json& value, const char* name, bool& target) const;
  void parse(const Json& value, const char* name, int64_t& target) const;
  void parse(const Json& value, const char* name, uint64_t& target) const;
  void parse(const Json& value, const char* name, std::string& target) const;
  template <class T>
  void parse(const Json& value, const char* name, std::optional<T>& target) const {
    if (value.is_null()) {
      target = std::nullopt;
    } else {
      parse(value, name, target.emplace());
    }
  }
  template <class T>
  void parse(const Json& value, const char* name, std::vector<T>& target) const {
    if (!value.is_array()) refuse(name, value, "a list");
    target.clear();
    for (const auto& element : value) parse(element, name, target.emplace_back());
  }

  std::string where_;
  Json object_;
  std::vector<std::string> known_;
};

/// What makes a thing of each type, by its name.
template <class Thing>
using Makers = std::map<std::string, std::function<Thing(Settings&)>>;

/// The thing that `settings` names. Throws for a type that is not known, listing those that are.
template <class Thing>
Thing make(Settings& settings, const Makers<Thing>& makers) {
  const auto type = settings.type();
  const auto maker = makers.find(type);
  std::vector<std::string> known;
  for (const auto& [name, unused] : makers) known.push_back(name);
  TORCH_CHECK_VALUE(maker != makers.end(), "natgrad: \"type\": \"", type, "\" of ",
                    settings.where(), " is not known; known are ",
                    fmt::format("{}", fmt::join(known, ", ")), ".");
  auto thing = maker->second(settings);
  settings.finish();
  return thing;
}

}  // namespace natgrad::detail
