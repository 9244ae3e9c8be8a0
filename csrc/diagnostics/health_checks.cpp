#include "diagnostics/health_checks.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "libtorch/errors.h"
#include "libtorch/out_of_memory.h"

namespace natgrad {
namespace detail {

HealthCheck judged(std::string name, double value, double tolerance, std::string says) {
  HealthCheck check{std::move(name), value, tolerance};
  check.holds = value <= tolerance;
  if (!check.holds) check.says = std::move(says);
  return check;
}

HealthCheck inconclusive(std::string name, std::string says) {
  HealthCheck check{std::move(name)};
  check.is_conclusive = false;
  check.says = std::move(says);
  return check;
}

void examine(Health& health, const std::string& name, const std::function<HealthCheck()>& look) {
  try {
    health.checks.push_back(look());
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw;
    health.checks.push_back(judged(name, std::numeric_limits<double>::quiet_NaN(), 0,
                                   without_prefix(error.what_without_backtrace())));
  }
  health.holds = health.holds && health.checks.back().holds;
}

void blame(Health& health, const std::function<std::string()>& find_op) {
  if (health.holds) return;
  const auto op = find_op();
  for (auto& check : health.checks) {
    if (!check.holds && check.op.empty()) check.op = op;
  }
}

}  // namespace detail

namespace {

std::string line_of_check(const HealthCheck& check) {
  const auto verdict = !check.is_conclusive ? "no verdict" : (check.holds ? "ok" : "FAILS");
  auto line = fmt::format("  {:<10} {}", verdict, check.name);
  if (check.is_conclusive && check.value == check.value) {
    line += fmt::format(": {:.2g} (tolerance {:.1g})", check.value, check.tolerance);
  }
  if (!check.op.empty()) line += fmt::format("; at fault: {}", check.op);
  if (!check.says.empty()) line += "; " + check.says;
  return line;
}

}  // namespace

bool Health::has(const std::string& name) const {
  return std::any_of(checks.begin(), checks.end(),
                     [&](const HealthCheck& check) { return check.name == name; });
}

const HealthCheck& Health::check(const std::string& name) const {
  std::string names;
  for (const auto& check : checks) {
    if (check.name == name) return check;
    names += (names.empty() ? "" : ", ") + check.name;
  }
  TORCH_CHECK_VALUE(false, "natgrad: the health of ", of, " has no check \"", name, "\", but ",
                    names, ".");
}

std::string Health::message() const {
  const auto failed = std::count_if(checks.begin(), checks.end(),
                                    [](const HealthCheck& check) { return !check.holds; });
  auto text = holds ? fmt::format("{}: healthy", of)
                    : fmt::format("{}: {} of {} checks fail", of, failed, checks.size());
  for (const auto& check : checks) text += "\n" + line_of_check(check);
  return text;
}

}  // namespace natgrad
