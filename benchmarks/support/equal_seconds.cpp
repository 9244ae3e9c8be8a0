#include "support/equal_seconds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "support/trainer.h"

namespace benchmarks {
namespace {

constexpr double kShareBelow = 17.0 / 20, kLargestRatio = 1.3;
constexpr double kHitsToLose = 0.005, kLargestHeldOutRatio = 1.05;

struct Comparison {
  const Cell& cell;
  Runs natural, adams;
  double rate;  ///< Adam's best

  bool below() const { return mean_loss(natural) < mean_loss(adams); }
  double ratio() const { return loss_ratio(natural, adams); }
  bool holds_out() const {
    const double ours = mean(natural, &Run::held_out), theirs = mean(adams, &Run::held_out);
    return cell.what().hits ? ours >= theirs - kHitsToLose : ours <= kLargestHeldOutRatio * theirs;
  }
  double highest() const { return largest(natural, &Run::highest); }
};

Comparison compare(const Cell& cell, int64_t watch) {
  const auto natural = cell.run([&](const Start& start) {
    return train_for_epochs(start, natural_gradient(), cell.epochs, watch);
  });
  std::vector<Runs> adams;
  for (const double rate : examples::kAdamRates) {
    adams.push_back(cell.run([&](const Start& start) {
      return train_for_seconds(start, adam(rate), natural[start.seed].seconds);
    }));
  }
  const auto best = lowest(adams);
  return {cell, natural, adams[best], examples::kAdamRates[best]};
}

std::vector<std::string> row_of(const Comparison& found) {
  const auto& task = found.cell.what();
  const bool holds = found.below() && found.ratio() <= kLargestRatio && found.holds_out();
  return {found.cell.task,
          found.cell.batch,
          fmt::format("{:.3g}", mean_loss(found.natural)),
          fmt::format("{:.3g} ({:g})", mean_loss(found.adams), found.rate),
          fmt::format("{:.2f}", found.ratio()),
          fmt::format("{} / {}", held_out_text(task, mean(found.natural, &Run::held_out)),
                      held_out_text(task, mean(found.adams, &Run::held_out))),
          fmt::format("{:.2f}", mean(found.natural, &Run::seconds)),
          fmt::format("{:.1f} / {:.1f}", mean(found.natural, &Run::epochs),
                      mean(found.adams, &Run::epochs)),
          found.highest() > 0 ? fmt::format("{:.2f}", found.highest()) : "-",
          holds ? "" : "*"};
}

struct Tally {
  int cells = 0, below = 0, held_out_worse = 0;
  double worst_ratio = 0, highest = 0;

  void add(const Comparison& found) {
    ++cells;
    below += found.below();
    held_out_worse += !found.holds_out();
    worst_ratio = std::max(worst_ratio, found.ratio());
    highest = std::max(highest, found.highest());
  }
};

void add_bars(const Tally& tally, int64_t watch, Page& page) {
  const int wanted = static_cast<int>(std::ceil(kShareBelow * tally.cells));
  page.line("");
  page.bar(fmt::format("below Adam's best in {} of {} cells (bar: {})", tally.below, tally.cells,
                       wanted),
           tally.below >= wanted);
  page.bar(fmt::format("worst ratio {:.2f} (bar: {})", tally.worst_ratio, kLargestRatio),
           tally.worst_ratio <= kLargestRatio);
  page.bar(fmt::format("held-out examples worse in {} cells (bar: none by more than half a point, "
                       "losses {} times)",
                       tally.held_out_worse, kLargestHeldOutRatio),
           tally.held_out_worse == 0);
  if (watch == 0) return;
  page.bar(fmt::format("highest loss on the way {:.2f} of the start's (bar: 1)", tally.highest),
           tally.highest <= 1);
}

}  // namespace

void compare_in_equal_seconds(const Cells& cells, Page& page) {
  page.heading("In equal seconds");
  page.head({"task", "batch", "natgrad", "Adam's best (rate)", "ratio", "held out, natgrad / Adam",
             "seconds", "epochs, natgrad / Adam", "highest / start", "*: misses a bar"});
  Tally tally;
  for_each_cell(cells, [&](const Cell& cell) {
    const auto found = compare(cell, cells.watch);
    page.row(row_of(found));
    tally.add(found);
  });
  add_bars(tally, cells.watch, page);
}

}  // namespace benchmarks
