#pragma once

#include <torch/types.h>

#include <string>

namespace examples {

/// `--batch full`.
constexpr int64_t kFullBatch = 1'000'000'000;

/// The command line of an example that trains a network.
struct TrainingOptions {
  int64_t batch = 128;  // larger than the training set: all of it
  int64_t epochs = 30;  // 3 with `mnist`
  uint64_t seed = 0;
  int threads = 1;
  torch::Device device = torch::kCPU;
  double scale = 1;
  std::string data = NATGRAD_DATA_DIR "/digits.csv";
  std::string mnist;  // a folder; empty: the digits in `data`
  std::string output;
  bool resume = false;  // from the checkpoint beside the output
};

/// An example, as its --help describes it.
struct Program {
  std::string name, description;
  bool trains_on_digits = true;  // and so has --data, --mnist and --scale
};

/// Reads the command line; `output` is by default the program's name. Asked for help, or given a
/// wrong value, it says so and ends the program.
TrainingOptions parse_command_line(int argc, char** argv, const Program& program);

}  // namespace examples
