#include "fuzz/watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>

namespace natgrad::testing::fuzz {
namespace {

constexpr unsigned kLongest = 60;  // seconds a case may take

std::atomic<uint64_t> current_seed = 0;

/// By calls that are allowed in a signal's handler alone.
void tell(int signal) {
  std::array<char, 80> text{};
  const char* kind = signal == SIGALRM ? "hangs" : "crashes";
  const auto end = fmt::format_to_n(text.data(), text.size(), "natgrad_fuzz: seed {} {}\n",
                                    current_seed.load(), kind);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), end.size);
  std::signal(signal, SIG_DFL);
  std::raise(signal == SIGALRM ? SIGABRT : signal);
}

class Watch {
 public:
  explicit Watch(uint64_t seed) {
    current_seed = seed;
    for (size_t i = 0; i < kSignals.size(); ++i) before_[i] = std::signal(kSignals[i], tell);
    ::alarm(kLongest);
  }
  ~Watch() {
    ::alarm(0);
    for (size_t i = 0; i < kSignals.size(); ++i) std::signal(kSignals[i], before_[i]);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  static constexpr std::array kSignals = {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGALRM};
  std::array<void (*)(int), kSignals.size()> before_{};
};

/// What failures have in common that differ in their numbers.
std::string kind_of(const std::string& failure) { return failure.substr(0, failure.find(' ')); }

struct Silent : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

std::string watched(uint64_t seed, Tally* tally) {
  const Watch watch(seed);
  return failure_of(random_case(seed), tally);
}

std::string smallest(uint64_t seed) {
  const auto whole = random_case(seed);
  const auto kind = kind_of(failure_of(whole));
  const auto fails = [&](const Case& c) {
    const auto failure = failure_of(c);
    return !failure.empty() && kind_of(failure) == kind;
  };
  const auto least = shrink(whole, fails);
  return fmt::format("seed {}; the smallest graph that fails:\n{}  {}\n", seed, describe(least),
                     failure_of(least));
}

Quiet::Quiet() : handler_(std::make_unique<Silent>()), guard_(handler_.get()) {}

}  // namespace natgrad::testing::fuzz
