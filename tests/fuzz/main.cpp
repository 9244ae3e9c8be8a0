// natgrad_fuzz: random networks and losses, for as long as one likes.

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "fuzz/watch.h"

namespace fuzz = natgrad::testing::fuzz;

namespace {

constexpr const char* kUsage =
    "natgrad_fuzz [--seconds S] [--seed FIRST] [--cases N] [--keep-going] [--show]\n"
    "  random networks and losses by seed, FIRST (0) and on, for S seconds (60) or N cases; ends\n"
    "  with 1 and the smallest failing graph at the first that natgrad answers wrongly, or goes "
    "on\n"
    "  and names them all; --show says what each case is, as for one that crashes\n";

struct Settings {
  double seconds = 60;
  uint64_t seed = 0, cases = UINT64_MAX;
  bool keeps_going = false, shows = false;
};

/// False for what it does not know.
bool parse(int count, char** arguments, Settings& settings) {
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--keep-going" || name == "--show") {
      (name == "--show" ? settings.shows : settings.keeps_going) = true;
      continue;
    }
    if (i + 1 == count) return false;
    char* end = nullptr;
    const double value = std::strtod(arguments[++i], &end);
    if (*end != '\0' || end == arguments[i] || !(value >= 0)) return false;
    if (name == "--seconds") {
      settings.seconds = value;
    } else if (name == "--seed") {
      settings.seed = static_cast<uint64_t>(value);
    } else if (name == "--cases") {
      settings.cases = static_cast<uint64_t>(value);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  Settings settings;
  if (!parse(count, arguments, settings)) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  const fuzz::Quiet quiet;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  fuzz::Tally tally;
  uint64_t done = 0, failures = 0;
  for (; done < settings.cases && elapsed() < settings.seconds; ++done) {
    const auto seed = settings.seed + done;
    if (settings.shows) fmt::print("seed {}: {}", seed, describe(fuzz::random_case(seed)));
    std::fflush(stdout);
    const auto failure = fuzz::watched(seed, &tally);
    if (failure.empty()) continue;
    ++failures;
    fmt::print("seed {}: {}\n", seed, failure);
    if (!settings.keeps_going) {
      fmt::print("{}", fuzz::smallest(seed));
      return 1;
    }
  }
  for (const auto& [what, times] : tally) fmt::print("{:8} {}\n", times, what);
  fmt::print("{} cases from seed {} in {:.1f} s, {} failed\n", done, settings.seed, elapsed(),
             failures);
  return failures == 0 ? 0 : 1;
}
