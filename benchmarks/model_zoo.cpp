// Models as people write them (tests/models): natgrad's default options for some steps, and Adam at
// seven rates from the same starts on the same batches, in as many seconds and in as many steps.
// One thread; seconds are the processor's. What natgrad threw or warned of comes after the table.
// `--help` lists the options.

#include "models/zoo.h"

#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <set>

#include "support/cells.h"
#include "support/command_line.h"
#include "support/methods.h"
#include "support/results.h"
#include "support/runs.h"
#include "support/trainer.h"

namespace {

constexpr double kMostTime = 2.5;     // of Adam's steps, where each example is one observation
constexpr double kShareOfFall = 0.9;  // of Adam's, for the goals of tests/models

struct Settings {
  std::vector<std::string> only;
  int64_t steps = zoo::kSteps, seeds = 3;
  std::string json;
};

/// Counts processor seconds while it is asked to run something.
struct Clock {
  double seconds = 0;
  void run(const std::function<void()>& body) {
    const auto begin = std::clock();
    body();
    seconds += static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  }
};

/// The first two lines at most, without LibTorch's stack of calls.
std::string short_text(const std::string& text) {
  constexpr size_t kLength = 300;
  auto cut = text.substr(0, std::min(text.find("\nException raised"), kLength));
  std::replace(cut.begin(), cut.end(), '\n', ' ');
  return cut;
}

/// Collects LibTorch's warnings while it lives.
class Warnings : public c10::WarningHandler {
 public:
  explicit Warnings(std::set<std::string>& texts) : texts_(texts), guard_(this) {}
  void process(const c10::Warning& warning) override { texts_.insert(short_text(warning.msg())); }

 private:
  std::set<std::string>& texts_;
  c10::WarningUtils::WarningHandlerGuard guard_;
};

double finite_or_infinite(double loss) { return std::isfinite(loss) ? loss : INFINITY; }

/// natgrad's course from one seed.
struct Natural {
  double start = 0, loss = 0, seconds = 0;
  std::string curvature, thrown;
  std::set<std::string> warnings;
};

Natural train_naturally(const zoo::Entry& entry, uint64_t seed, int64_t steps) {
  Natural found;
  const Warnings warnings(found.warnings);
  const auto model = entry.start(seed);
  found.start = zoo::full_loss(model);
  natgrad::NaturalGradient optimizer(model.parameters);
  Clock clock;
  try {
    for (int64_t k = 0; k < steps; ++k) clock.run([&] { optimizer.step(model.loss(k)); });
    found.curvature = optimizer.summary().curvature;
  } catch (const std::exception& error) {
    found.thrown = short_text(error.what());
  }
  found.loss = finite_or_infinite(zoo::full_loss(model));
  found.seconds = clock.seconds;
  return found;
}

/// Adam's course at one rate: its loss after as many steps, and in as many seconds.
struct Adam {
  double after_steps = 0, in_seconds = 0, seconds_a_step = 0;
};

Adam train_with_adam(const zoo::Entry& entry, uint64_t seed, double rate, int64_t steps,
                     double seconds) {
  Adam found;
  const auto model = entry.start(seed);
  const auto step = benchmarks::adam(rate)(model.parameters);
  const auto loss = [&] { return finite_or_infinite(zoo::full_loss(model)); };
  Clock clock;
  bool timed_out = false;
  int64_t taken = 0;
  while (taken < steps || !timed_out) {
    clock.run([&] { step(model.loss(taken)); });
    if (++taken == steps) found.after_steps = loss();
    if (!timed_out && clock.seconds >= seconds) {
      found.in_seconds = loss();
      timed_out = true;
    }
  }
  found.seconds_a_step = clock.seconds / static_cast<double>(taken);
  return found;
}

/// One model's row: means over the seeds.
struct Row {
  const zoo::Entry& entry;
  std::vector<Natural> naturals;
  std::vector<std::vector<Adam>> adams;  ///< [rate][seed]

  static double mean(const auto& runs, auto value) {
    double sum = 0;
    for (const auto& run : runs) sum += run.*value;
    return sum / static_cast<double>(runs.size());
  }
  double natural(double Natural::*value) const { return mean(naturals, value); }
  /// The lowest of the rates' means, and its rate.
  std::pair<double, double> best(double Adam::*value) const {
    std::vector<double> losses;
    for (const auto& runs : adams) losses.push_back(mean(runs, value));
    const auto at = std::min_element(losses.begin(), losses.end());
    return {*at, examples::kAdamRates[static_cast<size_t>(at - losses.begin())]};
  }
  double adam_step() const {
    double sum = 0;
    for (const auto& runs : adams) sum += mean(runs, &Adam::seconds_a_step);
    return sum / static_cast<double>(adams.size());
  }
  bool threw() const {
    return std::any_of(naturals.begin(), naturals.end(),
                       [](const Natural& run) { return !run.thrown.empty(); });
  }
  double price(int64_t steps) const {
    return natural(&Natural::seconds) / static_cast<double>(steps) / adam_step();
  }
  /// At Adam's best or below, losses under `kSmallLoss` as equal.
  bool keeps_up(double Adam::*value) const {
    const double adams = best(value).first;
    const double bar = adams < 0 ? adams : std::max(adams, benchmarks::kSmallLoss);
    return !threw() && natural(&Natural::loss) <= bar;
  }
  /// Without what else there is to say of it.
  std::string curvature() const {
    const auto& text = naturals.front().curvature;
    return threw() ? "throws" : text.substr(0, text.find(';'));
  }
};

Row measure(const zoo::Entry& entry, const Settings& settings) {
  Row row{entry, {}, std::vector<std::vector<Adam>>(examples::kAdamRates.size())};
  for (int64_t k = 0; k < settings.seeds; ++k) {
    const auto seed = static_cast<uint64_t>(k);
    const auto& ours = row.naturals.emplace_back(train_naturally(entry, seed, settings.steps));
    for (size_t r = 0; r < row.adams.size(); ++r) {
      row.adams[r].push_back(
          train_with_adam(entry, seed, examples::kAdamRates[r], settings.steps, ours.seconds));
    }
  }
  return row;
}

/// natgrad's loss over Adam's, those below `kSmallLoss` as equal; the difference if one is
/// negative.
std::string ratio_text(double ours, double adams) {
  if (ours < 0 || adams < 0) return fmt::format("{:+.3g}", ours - adams);
  constexpr double kLeast = benchmarks::kSmallLoss;
  return fmt::format("{:.2f}", std::max(ours, kLeast) / std::max(adams, kLeast));
}

void add_row(const Row& row, const Settings& settings, benchmarks::Page& page) {
  const double start = row.natural(&Natural::start), ours = row.natural(&Natural::loss);
  const auto [in_seconds, rate] = row.best(&Adam::in_seconds);
  const auto [after_steps, rate_of_steps] = row.best(&Adam::after_steps);
  const double goal = start - kShareOfFall * (start - after_steps);
  std::vector<std::string> cells = {row.entry.name, fmt::format("{:.3g}", start)};
  if (row.threw()) {
    cells.insert(cells.end(), {"throws", "-", "-"});
  } else {
    cells.insert(cells.end(),
                 {fmt::format("{:.3g}", ours), fmt::format("{:.3g} ({:g})", in_seconds, rate),
                  ratio_text(ours, in_seconds)});
  }
  cells.insert(cells.end(),
               {fmt::format("{:.3g} ({:g})", after_steps, rate_of_steps),
                fmt::format("{:.3g}", goal), fmt::format("{:.2f}", 1e3 * row.adam_step()),
                row.threw() ? "-" : fmt::format("{:.2f}", row.price(settings.steps)),
                row.naturals.front().curvature});
  page.row(cells);
}

std::string range_of(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{:.2g} to {:.2g}", *least, *most);
}

void add_summary_row(const std::string& name, const std::vector<const Row*>& rows, int64_t steps,
                     benchmarks::Page& page) {
  std::vector<double> milliseconds, prices;
  int64_t in_steps = 0, in_seconds = 0;
  for (const auto* row : rows) {
    milliseconds.push_back(1e3 * row->adam_step());
    prices.push_back(row->price(steps));
    in_steps += row->keeps_up(&Adam::after_steps);
    in_seconds += row->keeps_up(&Adam::in_seconds);
  }
  page.row({name, std::to_string(rows.size()), range_of(milliseconds), range_of(prices),
            std::to_string(in_steps), std::to_string(in_seconds)});
}

void add_summary(const std::vector<Row>& rows, const Settings& settings, benchmarks::Page& page) {
  std::map<std::string, std::vector<const Row*>> by_curvature;
  std::vector<const Row*> all;
  for (const auto& row : rows) {
    by_curvature[row.curvature()].push_back(&row);
    all.push_back(&row);
  }
  page.heading("By curvature");
  page.head({"curvature", "models", "Adam's step, ms", "step ÷ Adam's",
             "keeps up with Adam in equal steps", "in equal seconds"});
  for (const auto& [name, of_it] : by_curvature) add_summary_row(name, of_it, settings.steps, page);
  add_summary_row("all", all, settings.steps, page);
}

void add_notes(const std::vector<Row>& rows, benchmarks::Page& page) {
  page.line("");
  for (const auto& row : rows) {
    std::set<std::string> notes;
    for (const auto& run : row.naturals) {
      for (const auto& text : run.warnings) notes.insert("warns: " + text);
      if (!run.thrown.empty()) notes.insert("throws: " + run.thrown);
    }
    for (const auto& note : notes) page.line(fmt::format("{} {}", row.entry.name, note));
  }
}

void add_bars(const std::vector<Row>& rows, const Settings& settings, benchmarks::Page& page) {
  const auto count = [&](auto holds) { return std::count_if(rows.begin(), rows.end(), holds); };
  const auto refused = count([](const Row& row) { return row.threw(); });
  const auto dear = count([&](const Row& row) {
    return row.entry.expect.one_observation && !row.threw() &&
           row.price(settings.steps) > kMostTime;
  });
  page.line("");
  page.bar(fmt::format("{} refused (bar: none)", refused), refused == 0);
  page.bar(fmt::format("{} of one observation an example cost more than {} of Adam's "
                       "steps (bar: none)",
                       dear, kMostTime),
           dear == 0);
}

void run(const Settings& settings) {
  torch::set_num_threads(1);
  benchmarks::check_json(settings.json);
  benchmarks::Page page;
  page.heading("Models as people write them");
  page.head({"model", "start", "natgrad", "Adam's best (rate)", "ratio",
             "as many steps of Adam (rate)", "goal", "Adam's step, ms", "step ÷ Adam's",
             "curvature"});
  std::vector<Row> rows;
  for (const auto& entry : zoo::zoo()) {
    const auto& only = settings.only;
    if (!only.empty() && std::count(only.begin(), only.end(), entry.name) == 0) continue;
    train_with_adam(entry, 0, examples::kAdamRates.front(), settings.steps, 0);  // warms up
    rows.push_back(measure(entry, settings));
    add_row(rows.back(), settings, page);
  }
  add_summary(rows, settings, page);
  add_notes(rows, page);
  add_bars(rows, settings, page);
  benchmarks::write_results(settings.json, page,
                            {{"seeds", settings.seeds}, {"steps", settings.steps}});
}

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : zoo::zoo()) found.emplace_back(entry.name);
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app(
      "natgrad's default options against Adam's best rate, on models as people write them.",
      "model_zoo");
  app.add_option("--only", settings.only, "models, comma-separated; all")
      ->delimiter(',')
      ->check(CLI::IsMember(names()));
  app.add_option("--steps", settings.steps, "of natgrad")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seeds", settings.seeds, "as many, from 0")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  benchmarks::add_json(app, settings.json);
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("model_zoo", [&] { run(settings); });
}
