#include "support/fixed_rates.h"

#include <fmt/format.h>

#include <algorithm>

namespace benchmarks {
namespace {

constexpr double kLargestFixedRatio = 1.1;
const std::vector<double> kFixedRates = {0.01, 0.02, 0.05, 0.1, 0.2};

std::string column_of(double rate) { return fmt::format("{:g}", rate); }

/// Prints the cell's line and returns its ratio.
double compare_cell(const Cell& cell, int64_t watch) {
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
  fmt::print("{} {:.3g} | {:.2f} | {:g} |", cell.row_head(), mean_loss(by_default), ratio,
             kFixedRates[best]);
  for (const auto& runs : fixed) fmt::print(" {:.3g} |", mean_loss(runs));
  fmt::print(" {:.2f} | {} |\n", largest(by_default, &Run::highest),
             ratio <= kLargestFixedRatio ? "" : "*");
  return ratio;
}

}  // namespace

void compare_with_fixed_rates(const Cells& cells) {
  std::vector<std::string> titles = {"default", "ratio to the best", "best rate"};
  for (const double rate : kFixedRates) titles.push_back(column_of(rate));
  titles.insert(titles.end(), {"highest / start", "*: misses the bar"});
  print_head(titles);
  double worst = 0;
  for_each_cell(
      cells, [&](const Cell& cell) { worst = std::max(worst, compare_cell(cell, cells.watch)); });
  fmt::print("\n");
  print_bar(
      fmt::format("worst ratio to the best fixed rate {:.2f} (bar: {})", worst, kLargestFixedRatio),
      worst <= kLargestFixedRatio);
}

}  // namespace benchmarks
