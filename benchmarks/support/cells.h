#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/runs.h"

namespace benchmarks {

/// What is compared: cells of a task and a batch size, each from several seeds.
struct Cells {
  Tasks all_tasks;
  std::vector<std::string> tasks, batches;
  int64_t epochs = 0;  ///< 0: the task's own number
  int64_t seeds = 3;
  int64_t watch = 20;  ///< look at natgrad's loss every so many steps; 0: never
};

struct Cell {
  std::string task, batch;
  std::vector<Start> starts;  ///< one for each seed
  int64_t epochs;

  const Task& what() const { return starts.front().task; }
  Runs run(const std::function<Run(const Start&)>& train) const;
};

void for_each_cell(const Cells& cells, const std::function<void(const Cell&)>& body);

/// "88.5%", or a loss where the task has no hits.
std::string held_out_text(const Task& task, double value);

}  // namespace benchmarks
