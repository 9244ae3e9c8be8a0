// Does the default need tuning, and is it worth its price? Trains each task at each batch size, a
// cell, from several seeds with natgrad's default options, and beside it, from the same starts and
// on the same batches,
//   by default      with Adam at seven rates, each for as many seconds as natgrad had;
//   --fixed-rates   with natgrad at five fixed rates, for as many epochs;
//   --race          with Adam at seven rates for ten epochs, for the seconds to its lowest loss.
// One thread; seconds are the processor's. `--help` lists the options.

#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>

#include "support/cells.h"
#include "support/command_line.h"
#include "support/equal_seconds.h"
#include "support/fixed_rates.h"
#include "support/mnist.h"
#include "support/race.h"
#include "support/results.h"

namespace {

struct Settings {
  benchmarks::Cells cells;
  std::string fashion = examples::kFashionMnist, json;
  bool fixed_rates = false, race = false;
};

/// "full" or a whole number above zero.
std::string check_batch(const std::string& text) {
  const bool number = !text.empty() && text.size() < 10 && text[0] != '0' &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  return number || text == "full" ? "" : "a batch size is a whole number above 0, or full: " + text;
}

void add_cells(CLI::App& app, benchmarks::Cells& cells) {
  app.add_option("--tasks", cells.tasks,
                 "comma-separated; all but conv and regression30, for --race fashion,fashion_conv")
      ->delimiter(',')
      ->check(CLI::IsMember(names_of(benchmarks::make_tasks(""))));
  app.add_option("--batches", cells.batches,
                 "comma-separated; 'full' is the training set; 16,32,128,512, for --race 128")
      ->delimiter(',')
      ->check(CLI::Validator(check_batch, "BATCH"));
  app.add_option("--epochs", cells.epochs, "instead of the task's own number; of Adam for --race")
      ->check(CLI::PositiveNumber);
  app.add_option("--seeds", cells.seeds, "as many, from 0")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--watch", cells.watch, "look at natgrad's loss every so many steps; 0: never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

/// What was not asked for is chosen by the mode.
void complete(Settings& settings) {
  auto& cells = settings.cells;
  const auto choose = [&](std::vector<std::string>& names, std::vector<std::string> compared,
                          std::vector<std::string> raced) {
    if (names.empty()) names = settings.race ? std::move(raced) : std::move(compared);
  };
  choose(cells.tasks, {"digits", "binary", "regression", "fashion", "fashion_conv"},
         {"fashion", "fashion_conv"});
  choose(cells.batches, {"16", "32", "128", "512"}, {"128"});
  constexpr int64_t kEpochsOfARace = 10;
  if (settings.race && cells.epochs == 0) cells.epochs = kEpochsOfARace;
  cells.all_tasks = benchmarks::make_tasks(settings.fashion);
}

void run(Settings settings) {
  torch::set_num_threads(1);
  benchmarks::check_json(settings.json);
  complete(settings);
  benchmarks::Page page;
  const auto& cells = settings.cells;
  for (const auto& name : cells.tasks) {
    fmt::print("{}: {}\n", name, cells.all_tasks.at(name).description);
  }
  if (settings.race) {
    benchmarks::race(cells, page);
  } else if (settings.fixed_rates) {
    benchmarks::compare_with_fixed_rates(cells, page);
  } else {
    benchmarks::compare_in_equal_seconds(cells, page);
  }
  benchmarks::write_results(settings.json, page, {{"seeds", cells.seeds}});
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("natgrad's default options against Adam's best rate, by batch size.", "batch_sizes");
  add_cells(app, settings.cells);
  app.add_option("--fashion", settings.fashion, "folder with Fashion-MNIST")->capture_default_str();
  auto* const fixed = app.add_flag("--fixed-rates", settings.fixed_rates,
                                   "against natgrad with fixed rates instead");
  app.add_flag("--race", settings.race, "the seconds to Adam's lowest loss instead")
      ->excludes(fixed);
  benchmarks::add_json(app, settings.json);
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("batch_sizes", [&] { run(settings); });
}
