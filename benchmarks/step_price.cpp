// What a step of natgrad's default costs beside one of Adam's, with its forward pass and loss: the
// time, and that with the exact curvature; and the memory beside a forward and backward pass. Real
// batches, one process, one thread, processor time, the methods in turn. `--help` lists the
// options.

#include <fmt/format.h>
#include <natgrad/curvatures.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "support/cells.h"
#include "support/command_line.h"
#include "support/mnist.h"
#include "support/step_costs.h"

using benchmarks::Method, benchmarks::Start;

namespace {

constexpr double kMostTime = 2.5, kMostMemory = 2.5;  // of Adam's, of forward and backward
constexpr double kAdamRate = 1e-3;

struct Case {
  std::string task;
  int64_t batch;
};

const std::vector<Case> kCases = {{"digits", 32},        {"digits", 128},   {"fashion", 32},
                                  {"fashion", 128},      {"fashion", 512},  {"fashion_conv", 32},
                                  {"fashion_conv", 128}, {"regression", 64}};

struct Settings {
  std::vector<std::string> tasks = {"digits", "fashion", "fashion_conv", "regression"};
  benchmarks::Rounds rounds;
  std::string fashion = examples::kFashionMnist;
};

/// Ratios: of the default's time to Adam's, of its memory to that of forward and backward.
struct Price {
  double time, memory;
};

Method by_default() { return benchmarks::natural_gradient(); }
Method exactly() {
  return benchmarks::natural_gradient(
      natgrad::NaturalGradientOptions().curvature(natgrad::FisherOrGaussNewton()));
}
Method adam() { return benchmarks::adam(kAdamRate); }

/// Prints the case's times, up to the columns of memory; returns the default's over Adam's.
double print_times(const Case& of, const Start& start, const Settings& settings) {
  const auto times = step_milliseconds(start, {by_default(), adam(), exactly()}, settings.rounds);
  const double ours = times[0], adams = times[1], exact = times[2];
  fmt::print("| {} | {} | {:.2f} | {:.3f} | {:.3f} | {:.1f} | {:.3f} |", of.task, of.batch,
             ours / adams, ours, adams, exact / adams, exact);
  return ours / adams;
}

/// Prints the columns of memory; returns the default's over that of forward and backward.
double print_memory(const Start& start, const Settings& settings) {
  const auto of = [&](const Method& method) {
    return step_memory(start, method, settings.rounds.warm_up);
  };
  const double passes = of(benchmarks::backward_only()).peak;
  const auto ours = of(by_default());
  fmt::print(" {:.2f} | {:.2f} | {:.0f} | {:.2f} | {:.2f} |", ours.peak / passes,
             ours.kept / passes, passes / 1024, of(adam()).peak / passes,
             of(exactly()).peak / passes);
  return ours.peak / passes;
}

Price print_price(const Case& of, const Start& start, const Settings& settings) {
  const Price price{print_times(of, start, settings), print_memory(start, settings)};
  fmt::print(" {} |\n", price.time <= kMostTime && price.memory <= kMostMemory ? "" : "*");
  std::fflush(stdout);
  return price;
}

void run(const Settings& settings) {
  torch::set_num_threads(1);
  benchmarks::print_head({"step ÷ Adam's", "ms", "Adam's ms", "exact ÷ Adam's", "exact, ms",
                          "memory ÷ forward and backward", "of it kept", "these, KiB", "Adam's",
                          "exact's", "*: misses a bar"});
  const auto tasks = benchmarks::make_tasks(settings.fashion);
  Price worst{0, 0};
  for (const auto& of : kCases) {
    if (std::count(settings.tasks.begin(), settings.tasks.end(), of.task) == 0) continue;
    const auto price = print_price(of, Start(tasks.at(of.task), of.batch, 0), settings);
    worst = {std::max(worst.time, price.time), std::max(worst.memory, price.memory)};
  }
  fmt::print("\n");
  benchmarks::print_bar(fmt::format("worst step {:.2f} of Adam's (bar: {})", worst.time, kMostTime),
                        worst.time <= kMostTime);
  benchmarks::print_bar(fmt::format("most memory {:.2f} of forward and backward (bar: {})",
                                    worst.memory, kMostMemory),
                        worst.memory <= kMostMemory);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("The price of a step of natgrad's default, in Adam's steps.", "step_price");
  app.option_defaults()->always_capture_default();
  app.add_option("--tasks", settings.tasks, "comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember(settings.tasks));
  app.add_option("--rounds", settings.rounds.count)->check(CLI::PositiveNumber);
  app.add_option("--steps", settings.rounds.steps, "in each round")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", settings.rounds.warm_up, "steps before")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--fashion", settings.fashion, "folder with Fashion-MNIST");
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("step_price", [&] { run(settings); });
}
