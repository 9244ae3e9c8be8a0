// Trains a small classifier on handwritten digits, or with `--mnist` on MNIST or Fashion-MNIST,
// with natgrad::NaturalGradient, and, from the same start and on the same batches, with Adam at
// seven learning rates in the same seconds. `--help` lists the options.

#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include "support/command_line.h"
#include "support/report.h"
#include "support/trainer.h"

namespace F = torch::nn::functional;
using examples::Batch, examples::TrainingRecord, examples::Model, examples::Task;

namespace {

/// The same network, with the same weights, at each call.
Model make_classifier(const Task& task) {
  constexpr int64_t kClasses = 10;
  const int64_t hidden = task.options.mnist.empty() ? 64 : 128;
  torch::manual_seed(task.options.seed);
  torch::nn::Sequential network(torch::nn::Linear(task.features(), hidden), torch::nn::Tanh(),
                                torch::nn::Linear(hidden, kClasses));
  network->to(task.options.device);

  const auto loss = [network](const Batch& batch) mutable {
    return F::cross_entropy(network->forward(batch.data), batch.target);
  };
  const auto hits = [network](const Batch& batch) mutable {
    return network->forward(batch.data).argmax(1) == batch.target;
  };
  return {network.ptr(), loss, hits};
}

examples::TrainingCurve train_with_natural_gradient(const Task& task) {
  const Model model = make_classifier(task);
  natgrad::NaturalGradient optimizer(model.parameters());

  const auto step = [&](const Batch& batch, TrainingRecord& record) {
    optimizer.step(model.loss(batch));
    record.add(optimizer.summary());
  };
  return train(task, "NaturalGradient", model, optimizer, step);
}

void run(const examples::TrainingOptions& options) {
  const Task task = start_task(options, load_digits(options), "accuracy");
  std::vector curves{train_with_natural_gradient(task)};
  add_adam(curves, task, [&] { return make_classifier(task); });
  report(task, curves);
}

}  // namespace

int main(int argc, char** argv) {
  const examples::Program program{"digits_classifier",
                                  "Trains a classifier of handwritten digits."};
  const auto options = examples::parse_command_line(argc, argv, program);
  return examples::exit_code(program.name, [&] { run(options); });
}
