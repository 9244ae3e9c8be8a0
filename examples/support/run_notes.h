#pragma once

#include <torch/types.h>

#include <string>

namespace examples {

/// A text as a checkpoint's note.
torch::Tensor to_note(const std::string& text);

/// Throws `c10::Error` unless the note of the run that was saved at `path` tells this one.
void check_same_run(const torch::Tensor& note, const std::string& run, const std::string& path);

/// Throws `c10::Error`, saying what to do, unless there is a file at `path`.
void check_can_resume(const std::string& path);

/// Removes the checkpoint of a run that has ended, if there is one.
void remove_checkpoint(const std::string& path);

}  // namespace examples
