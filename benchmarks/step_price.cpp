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
#include "support/results.h"
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
  std::string fashion = examples::kFashionMnist, json;
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

/// A case's row, and its price.
struct Priced {
  std::vector<std::string> row;
  Price price;
};

/// Up to the columns of memory.
Priced times_of(const Case& of, const Start& start, const Settings& settings) {
  const auto times = step_milliseconds(start, {by_default(), adam(), exactly()}, settings.rounds);
  const double ours = times[0], adams = times[1], exact = times[2];
  return {{of.task, std::to_string(of.batch), fmt::format("{:.2f}", ours / adams),
           fmt::format("{:.3f}", ours), fmt::format("{:.3f}", adams),
           fmt::format("{:.1f}", exact / adams), fmt::format("{:.3f}", exact)},
          {ours / adams, 0}};
}

void add_memory(const Start& start, const Settings& settings, Priced& of) {
  const auto taken_by = [&](const Method& method) {
    return step_memory(start, method, settings.rounds.warm_up);
  };
  const double passes = taken_by(benchmarks::backward_only()).peak;
  const auto ours = taken_by(by_default());
  of.price.memory = ours.peak / passes;
  for (const double share : {of.price.memory, ours.kept / passes}) {
    of.row.push_back(fmt::format("{:.2f}", share));
  }
  of.row.push_back(fmt::format("{:.0f}", passes / 1024));
  for (const auto& method : {adam(), exactly()}) {
    of.row.push_back(fmt::format("{:.2f}", taken_by(method).peak / passes));
  }
}

Price add_price(const Case& of, const Start& start, const Settings& settings,
                benchmarks::Page& page) {
  auto priced = times_of(of, start, settings);
  add_memory(start, settings, priced);
  const auto& price = priced.price;
  priced.row.push_back(price.time <= kMostTime && price.memory <= kMostMemory ? "" : "*");
  page.row(priced.row);
  return price;
}

void run(const Settings& settings) {
  torch::set_num_threads(1);
  benchmarks::check_json(settings.json);
  benchmarks::Page page;
  page.heading("The price of a step");
  page.head({"task", "batch", "step ÷ Adam's", "ms", "Adam's ms", "exact ÷ Adam's", "exact, ms",
             "memory ÷ forward and backward", "of it kept", "these, KiB", "Adam's", "exact's",
             "*: misses a bar"});
  const auto tasks = benchmarks::make_tasks(settings.fashion);
  Price worst{0, 0};
  for (const auto& of : kCases) {
    if (std::count(settings.tasks.begin(), settings.tasks.end(), of.task) == 0) continue;
    const auto price = add_price(of, Start(tasks.at(of.task), of.batch, 0), settings, page);
    worst = {std::max(worst.time, price.time), std::max(worst.memory, price.memory)};
  }
  page.line("");
  page.bar(fmt::format("worst step {:.2f} of Adam's (bar: {})", worst.time, kMostTime),
           worst.time <= kMostTime);
  page.bar(fmt::format("most memory {:.2f} of forward and backward (bar: {})", worst.memory,
                       kMostMemory),
           worst.memory <= kMostMemory);
  benchmarks::write_results(
      settings.json, page,
      {{"seed", 0}, {"rounds", settings.rounds.count}, {"steps", settings.rounds.steps}});
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
  benchmarks::add_json(app, settings.json);
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("step_price", [&] { run(settings); });
}
