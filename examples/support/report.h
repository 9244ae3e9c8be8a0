#pragma once

#include "support/training_curve.h"

namespace examples {

/// Throws `c10::Error` unless `path` can be written: better before training than after.
void check_writable(const std::string& path);

/// One line for each method: final and worst training loss, held-out accuracy, seconds.
void print_table(const std::vector<TrainingCurve>& curves);

/// Writes <output>.json, and has plot_curves.py draw <output>.png from it. The picture needs python
/// with matplotlib; without, a sentence says so.
void write_report(const std::string& output, const std::string& title,
                  const std::vector<TrainingCurve>& curves);

}  // namespace examples
