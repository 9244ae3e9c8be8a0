#include "support/fixed_rates.h"

#include <fmt/format.h>

#include <algorithm>

namespace benchmarks {
namespace {

constexpr double kLargestFixedRatio = 1.1;
const std::vector<double> kFixedRates = {0.01, 0.02, 0.05, 0.1, 0.2};

std::string column_of(double rate) { return fmt::format("{:g}", rate); }

/// Adds the cell's row and returns its ratio.
double compare_cell(const Cell& cell, int64_t watch, Page& page) {
  const auto with = [&](const Method& method) {
    return cell.run(
        [&](const Start& start) { return train_for_epochs(start, method, cell.epochs, watch); });
  };
  const auto by_default = with(natural_gradient());
  std::vector<Runs> fixed;
  for (const double rate : kFixedRates) {
    fixed.push_back(with(natural_gradient(natgrad::NaturalGradientOptions(rate))));
  }
  const auto best = lowest(fixed);
  const double ratio = loss_ratio(by_default, fixed[best]);
  std::vector<std::string> row = {cell.task, cell.batch,
                                  fmt::format("{:.3g}", mean_loss(by_default)),
                                  fmt::format("{:.2f}", ratio), column_of(kFixedRates[best])};
  for (const auto& runs : fixed) row.push_back(fmt::format("{:.3g}", mean_loss(runs)));
  row.push_back(fmt::format("{:.2f}", largest(by_default, &Run::highest)));
  row.push_back(ratio <= kLargestFixedRatio ? "" : "*");
  page.row(row);
  return ratio;
}

}  // namespace

void compare_with_fixed_rates(const Cells& cells, Page& page) {
  page.heading("Against fixed rates");
  std::vector<std::string> columns = {"task", "batch", "default", "ratio to the best", "best rate"};
  for (const double rate : kFixedRates) columns.push_back(column_of(rate));
  columns.insert(columns.end(), {"highest / start", "*: misses the bar"});
  page.head(columns);
  double worst = 0;
  for_each_cell(cells, [&](const Cell& cell) {
    worst = std::max(worst, compare_cell(cell, cells.watch, page));
  });
  page.line("");
  page.bar(
      fmt::format("worst ratio to the best fixed rate {:.2f} (bar: {})", worst, kLargestFixedRatio),
      worst <= kLargestFixedRatio);
}

}  // namespace benchmarks
