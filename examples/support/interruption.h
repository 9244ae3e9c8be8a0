#pragma once

#include <stdexcept>
#include <string>

namespace examples {

/// Why a run ended early, and where it can go on from, in one sentence.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What `main` returns then, as a shell does.
constexpr int kInterruptedExit = 130;

/// From now on the first Ctrl-C (SIGINT, or SIGTERM) is noted, for the run to end where it can go
/// on; a second one ends the program at once.
void note_interruptions();
bool is_interrupted();

}  // namespace examples
