#include "support/training_options.h"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <limits>

namespace examples {
namespace {

constexpr int64_t kFullBatch = 1'000'000'000;

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
  app.add_option("--epochs", options.epochs)->check(CLI::Range(1, 1'000'000))->type_name("N");
  app.add_option("--seed", options.seed, "Of the start, the held-out examples and the batches")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->type_name("N");
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->type_name("N");
}

void add_data(CLI::App& app, TrainingOptions& options) {
  auto* digits = app.add_option("--data", options.data, "CSV file with the digits");
  app.add_option("--mnist", options.mnist, "Folder with MNIST's four unzipped files, used instead")
      ->excludes(digits);
  app.add_option("--scale", options.scale, "Multiplies the inputs, to try badly scaled ones")
      ->check(CLI::Range(1e-6, 1e6));
  app.add_option("--output", options.output, "Where to write: <output>.json and <output>.png");
}

void parse(CLI::App& app, int argc, char** argv, TrainingOptions& options) {
  std::string device = "cpu";
  app.option_defaults()->always_capture_default();
  add_training(app, options);
  app.add_option("--device", device, "cpu, cuda or cuda:N")->check(device_problem);
  add_data(app, options);
  app.parse(argc, argv);
  // Not a number is in every range, as Range sees it.
  if (std::isnan(options.scale)) throw CLI::ValidationError("--scale", "nan is not a number");
  options.device = torch::Device(device);
}

}  // namespace

TrainingOptions parse_command_line(int argc, char** argv, const std::string& program,
                                   const std::string& description) {
  CLI::App app(description, program);
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return fmt::format("{}: {} (--help lists the options).\n", failed->get_name(), error.what());
  });
  TrainingOptions options;
  options.output = program;
  try {
    parse(app, argc, argv, options);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

}  // namespace examples
