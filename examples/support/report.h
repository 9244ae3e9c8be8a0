#pragma once

#include "support/json.h"
#include "support/task.h"
#include "support/training_curve.h"

namespace examples {

/// One line for each method: seconds and epochs, then where they led.
void print_table(const Task& task, const std::vector<TrainingCurve>& curves);

/// What plot_curves.py reads.
Json to_json(const Task& task, const std::vector<TrainingCurve>& curves);

/// Prints the table, writes <output>.json, and has plot_curves.py draw <output>.png from it. The
/// run is complete then, and its checkpoint removed.
void report(const Task& task, const std::vector<TrainingCurve>& curves);

}  // namespace examples
