#include "support/task.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "support/digits.h"
#include "support/mnist.h"
#include "support/output_files.h"

namespace examples {
namespace {

std::string describe_batch(const Task& task) {
  const auto text = fmt::format("batch {}", task.batch_size());
  if (task.batch_size() < task.training_size()) return text;
  if (task.options.batch == kFullBatch || task.options.batch == task.batch_size()) {
    return text + " (all)";
  }
  return fmt::format("{} (all, though --batch was {})", text, task.options.batch);
}

}  // namespace

std::string Task::describe() const {
  return fmt::format("{}: {} to train on, {} held out, {}, seed {}{}", data.name, training_size(),
                     data.held_out.data.size(0), describe_batch(*this), options.seed,
                     options.scale == 1 ? "" : fmt::format(", inputs times {:g}", options.scale));
}

std::vector<torch::Tensor> Task::shuffled_batches(const torch::Generator& generator) const {
  const int64_t whole_batches = steps_per_epoch() * batch_size();
  const auto rows = shuffled_rows(training_size(), generator).to(options.device);
  return rows.slice(0, 0, whole_batches).split(batch_size());
}

Dataset load_digits(const TrainingOptions& options) {
  auto data =
      options.mnist.empty() ? read_digits(options.data, options.seed) : read_mnist(options.mnist);
  for (auto* part : {&data.train, &data.held_out}) part->data = part->data * options.scale;
  return data;
}

Task start_task(const TrainingOptions& options, Dataset data, const std::string& share) {
  check_output(options.output);
  torch::set_num_threads(options.threads);
  for (auto* part : {&data.train, &data.held_out}) {
    part->data = part->data.to(options.device);
    part->target = part->target.to(options.device);
  }
  const Task task{options, data, share};
  fmt::print("{}\n", task.describe());
  return task;
}

}  // namespace examples
