#pragma once

#include <torch/types.h>

#include <string>

namespace examples {

/// The command line of an example that trains a classifier.
struct TrainingOptions {
  int64_t batch = 128;  // larger than the training set: all of it
  int64_t epochs = 30;
  uint64_t seed = 0;
  int threads = 1;
  torch::Device device = torch::kCPU;
  double scale = 1;
  std::string data = NATGRAD_DATA_DIR "/digits.csv";
  std::string mnist;  // a folder; empty: the digits in `data`
  std::string output;
};

/// Reads the command line; `output` is by default `program`. Asked for help, or given a wrong
/// value, it says so and ends the program.
TrainingOptions parse_command_line(int argc, char** argv, const std::string& program,
                                   const std::string& description);

}  // namespace examples
