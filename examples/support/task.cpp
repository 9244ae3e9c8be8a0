#include "support/task.h"

#include <fmt/format.h>

#include "support/digits.h"
#include "support/mnist.h"

namespace examples {

std::string Task::describe() const {
  return fmt::format("{}: {} to train on, {} held out, batch {}, seed {}{}", data.name,
                     training_size(), data.held_out.data.size(0), batch_size(), options.seed,
                     options.scale == 1 ? "" : fmt::format(", inputs times {:g}", options.scale));
}

std::vector<torch::Tensor> Task::shuffled_batches(const torch::Generator& generator) const {
  const int64_t whole_batches = training_size() / batch_size() * batch_size();
  const auto rows = shuffled_rows(training_size(), generator).to(options.device);
  return rows.slice(0, 0, whole_batches).split(batch_size());
}

Task load_task(const TrainingOptions& options) {
  auto data =
      options.mnist.empty() ? read_digits(options.data, options.seed) : read_mnist(options.mnist);
  for (auto* part : {&data.train, &data.held_out}) {
    part->data = (part->data * options.scale).to(options.device);
    part->target = part->target.to(options.device);
  }
  return {options, data};
}

}  // namespace examples
