#pragma once

#include <vector>

#include "support/training.h"

namespace benchmarks {

/// How a step's time is measured: rounds of some steps, the methods in turn, after a warm-up.
struct Rounds {
  int64_t warm_up = 30, count = 15, steps = 10;
};

/// Processor milliseconds of a forward pass, loss and step by each method, from the same start on
/// the same batches: medians over the rounds.
std::vector<double> step_milliseconds(const Start& start, const std::vector<Method>& methods,
                                      const Rounds& rounds);

/// Bytes besides the model and the data.
struct Memory {
  double peak;  ///< the most at once in a forward pass, loss and step; includes
  double kept;  ///< what the method keeps between steps
};

/// After a warm-up.
Memory step_memory(const Start& start, const Method& method, int64_t warm_up);

}  // namespace benchmarks
