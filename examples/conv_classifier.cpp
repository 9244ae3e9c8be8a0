// Trains a convolutional classifier on handwritten digits, 1x8x8 (or MNIST's, 1x28x28), with
// natgrad::NaturalGradient, and, from the same start and on the same batches, with Adam at seven
// learning rates in the same seconds. `--help` lists the options.

#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <cmath>

#include "support/command_line.h"
#include "support/report.h"
#include "support/trainer.h"

namespace F = torch::nn::functional;
using examples::Batch, examples::TrainingRecord, examples::Model, examples::Task;

namespace {

torch::nn::Conv2d convolution(int64_t from, int64_t to) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(from, to, 3).padding(1));
}

/// The same network, with the same weights, at each call. The images come as rows of pixels.
Model make_classifier(const Task& task) {
  using namespace torch::nn;
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(task.features())));
  const int64_t pooled = side / 2 / 2;
  torch::manual_seed(task.options.seed);
  Sequential network(Unflatten(UnflattenOptions(1, {1, side, side})),      //
                     convolution(1, 8), ReLU(), MaxPool2d(2),              //
                     convolution(8, 16), ReLU(), MaxPool2d(2), Flatten(),  //
                     Linear(16 * pooled * pooled, 10));
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
  const examples::Program program{"conv_classifier",
                                  "Trains a convolutional classifier of handwritten digits."};
  const auto options = examples::parse_command_line(argc, argv, program);
  return examples::exit_code(program.name, [&] { run(options); });
}
