#include "support/training_options.h"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <CLI/CLI.hpp>

#include "support/command_line.h"

namespace examples {
namespace {

constexpr int64_t kEpochsOfMnist = 3;  // it has forty times as many images as there are digits

/// What is wrong with the device called `name`; empty if nothing is.
std::string device_problem(const std::string& name) {
  const std::string expected = name + " is not cpu, cuda or cuda:N";
  try {
    const torch::Device device(name);
    if (device.is_cpu() && device.index() <= 0) return "";
    if (!device.is_cuda()) return expected;
    const int count =
        torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
    if (device.has_index() ? device.index() < count : count > 0) return "";
    return fmt::format("{} is not among the {} CUDA devices that LibTorch finds; use cpu", name,
                       count);
  } catch (const c10::Error&) {
    return expected;
  }
}

/// Accepts a number or `full`, which it turns into one.
CLI::Validator batch_size() {
  const auto convert = [](std::string& text) -> std::string {
    if (text == "full") text = std::to_string(kFullBatch);
    const bool good = CLI::Range(int64_t{1}, kFullBatch)(text).empty();
    return good ? "" : text + " is neither a number from 1 on nor `full`";
  };
  return CLI::Validator(convert, "");
}

void add_training(CLI::App& app, TrainingOptions& options) {
  app.add_option("--batch", options.batch, "Examples per step, or `full` for all of them")
      ->transform(batch_size())
      ->type_name("N|full");
  app.add_option("--epochs", options.epochs, "Of natgrad; by default 3 with --mnist")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  add_seed(app, options.seed, "Of the start, the held-out examples and the batches");
  add_resume(app, options.resume);
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->type_name("N");
}

void add_digits(CLI::App& app, TrainingOptions& options) {
  auto* digits = app.add_option("--data", options.data, "CSV file with the digits");
  app.add_option("--mnist", options.mnist,
                 "Folder with MNIST's or Fashion-MNIST's four files, used instead")
      ->excludes(digits);
  app.add_option("--scale", options.scale, "Multiplies the inputs, to try badly scaled ones")
      ->check(CLI::Range(1e-6, 1e6))
      ->check(not_nan);
}

}  // namespace

TrainingOptions parse_command_line(int argc, char** argv, const Program& program) {
  CLI::App app(program.description, program.name);
  app.option_defaults()->always_capture_default();
  TrainingOptions options;
  options.output = program.name;
  std::string device = "cpu";
  add_training(app, options);
  app.add_option("--device", device, "cpu, cuda or cuda:N")->check(device_problem);
  if (program.trains_on_digits) add_digits(app, options);
  add_output(app, options.output);
  parse_or_exit(app, argc, argv);
  options.device = torch::Device(device);
  if (!options.mnist.empty() && app.count("--epochs") == 0) options.epochs = kEpochsOfMnist;
  return options;
}

}  // namespace examples
