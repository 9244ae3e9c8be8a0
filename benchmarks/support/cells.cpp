#include "support/cells.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <limits>

namespace benchmarks {
namespace {

Cell make_cell(const Cells& cells, const std::string& name, const std::string& batch) {
  const Task& task = cells.all_tasks.at(name);
  const int64_t size = batch == "full" ? std::numeric_limits<int64_t>::max() : std::stoll(batch);
  Cell cell{name, batch, {}, cells.epochs > 0 ? cells.epochs : task.epochs};
  for (int64_t seed = 0; seed < cells.seeds; ++seed) cell.starts.emplace_back(task, size, seed);
  return cell;
}

}  // namespace

std::string Cell::row_head() const { return fmt::format("| {} | {} |", task, batch); }

Runs Cell::run(const std::function<Run(const Start&)>& train) const {
  Runs runs;
  for (const auto& start : starts) runs.push_back(train(start));
  return runs;
}

void for_each_cell(const Cells& cells, const std::function<void(const Cell&)>& body) {
  for (const auto& task : cells.tasks) {
    for (const auto& batch : cells.batches) {
      body(make_cell(cells, task, batch));
      std::fflush(stdout);
    }
  }
}

void print_head(const std::vector<std::string>& titles) {
  fmt::print("\n| task | batch | {} |\n| --- | --- |", fmt::join(titles, " | "));
  for (size_t k = 0; k < titles.size(); ++k) fmt::print(" --- |");
  fmt::print("\n");
  std::fflush(stdout);
}

std::string held_out_text(const Task& task, double value) {
  return task.hits ? fmt::format("{:.1f}%", 100 * value) : fmt::format("{:.3g}", value);
}

void print_bar(const std::string& what, bool passes) {
  fmt::print("{}: {}\n", what, passes ? "pass" : "FAIL");
}

}  // namespace benchmarks
