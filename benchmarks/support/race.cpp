#include "support/race.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "support/trainer.h"

namespace benchmarks {
namespace {

constexpr double kLargestShareOfSeconds = 0.5;
constexpr int64_t kStepsBetweenLooks = 50;
constexpr double kGiveUpAfter = 2;  // times Adam's seconds

struct Goal {
  double loss = std::numeric_limits<double>::infinity();
  double seconds = 0, rate = 0, held_out = 0;
};

Goal adams_goal(const Start& start, int64_t epochs) {
  Goal goal;
  for (const double rate : examples::kAdamRates) {
    Training training(start, adam(rate));
    for (int64_t epoch = 0; epoch < epochs; ++epoch) {
      for (int64_t step = 0; step < start.steps_per_epoch(); ++step) training.step();
      const double loss = training.training_loss(kJudgedExamples);
      if (loss < goal.loss) goal = {loss, training.seconds(), rate, training.held_out()};
    }
  }
  return goal;
}

struct Finish {
  double loss, seconds, epochs, held_out;
};

/// Where natgrad's default is at or below the goal, or gives up.
Finish run_to(const Goal& goal, const Start& start) {
  Training training(start, natural_gradient());
  double loss = std::numeric_limits<double>::infinity();
  while (loss > goal.loss && training.seconds() < kGiveUpAfter * goal.seconds) {
    for (int64_t step = 0; step < kStepsBetweenLooks; ++step) training.step();
    loss = training.training_loss(kJudgedExamples);
  }
  return {loss, training.seconds(), training.epochs(), training.held_out()};
}

/// Adds the row of a seed; returns natgrad's share of Adam's seconds.
double race_from(const Start& start, const Cell& cell, Page& page) {
  const auto goal = adams_goal(start, cell.epochs);
  const auto finish = run_to(goal, start);
  const double share = finish.seconds / goal.seconds;
  const auto seconds = fmt::format("{:.2f}", finish.seconds);
  page.row({cell.task, cell.batch, std::to_string(start.seed),
            fmt::format("{:.3g} ({:g})", goal.loss, goal.rate), fmt::format("{:.2f}", goal.seconds),
            finish.loss <= goal.loss ? seconds
                                     : fmt::format("{}, given up at {:.3g}", seconds, finish.loss),
            fmt::format("{:.2f}", share), fmt::format("{:.1f}", finish.epochs),
            fmt::format("{} / {}", held_out_text(start.task, finish.held_out),
                        held_out_text(start.task, goal.held_out))});
  return share;
}

}  // namespace

void race(const Cells& cells, Page& page) {
  page.heading("To Adam's lowest loss");
  page.head({"task", "batch", "seed", "Adam's lowest loss (rate)", "Adam's seconds",
             "natgrad's seconds", "share", "natgrad's epochs", "held out, natgrad / Adam"});
  double worst = 0;
  for_each_cell(cells, [&](const Cell& cell) {
    for (const auto& start : cell.starts) worst = std::max(worst, race_from(start, cell, page));
  });
  page.line("");
  page.bar(fmt::format("largest share of Adam's seconds {:.2f} (bar: {})", worst,
                       kLargestShareOfSeconds),
           worst <= kLargestShareOfSeconds);
}

}  // namespace benchmarks
