#include "support/cells.h"

#include <fmt/format.h>

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

Runs Cell::run(const std::function<Run(const Start&)>& train) const {
  Runs runs;
  for (const auto& start : starts) runs.push_back(train(start));
  return runs;
}

void for_each_cell(const Cells& cells, const std::function<void(const Cell&)>& body) {
  for (const auto& task : cells.tasks) {
    for (const auto& batch : cells.batches) {
      body(make_cell(cells, task, batch));
    }
  }
}

std::string held_out_text(const Task& task, double value) {
  return task.hits ? fmt::format("{:.1f}%", 100 * value) : fmt::format("{:.3g}", value);
}

}  // namespace benchmarks
