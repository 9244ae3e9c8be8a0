// Trains a network to answer one yes/no question, "is this handwritten digit odd?", with
// natgrad::NaturalGradient, and, from the same start and on the same batches, with Adam at seven
// learning rates in the same seconds. `--help` lists the options.

#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include "support/command_line.h"
#include "support/report.h"
#include "support/trainer.h"

namespace F = torch::nn::functional;
using examples::Batch, examples::TrainingRecord, examples::Model, examples::Task;

namespace {

/// One logit a row: the odds that the digit is odd, e^z to 1. The same network, with the same
/// weights, at each call.
Model make_classifier(const Task& task) {
  constexpr int64_t kHidden = 64;
  torch::manual_seed(task.options.seed);
  torch::nn::Sequential network(torch::nn::Linear(task.features(), kHidden), torch::nn::Tanh(),
                                torch::nn::Linear(kHidden, 1));
  network->to(task.options.device);

  const auto loss = [network](const Batch& batch) mutable {
    return F::binary_cross_entropy_with_logits(network->forward(batch.data), batch.target);
  };
  const auto hits = [network](const Batch& batch) mutable {
    return (network->forward(batch.data) > 0) == (batch.target == 1);
  };
  return {network.ptr(), loss, hits};
}

/// Of each digit only whether it is odd: targets [N, 1] like the logits, 1 for yes, 0 for no.
examples::Dataset odd_or_even(examples::Dataset digits) {
  digits.name += ", odd or even";
  for (auto* part : {&digits.train, &digits.held_out}) {
    part->target = part->target.remainder(2).to(torch::kFloat32).unsqueeze(1);
  }
  return digits;
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
  const Task task = start_task(options, odd_or_even(load_digits(options)), "accuracy");
  std::vector curves{train_with_natural_gradient(task)};
  add_adam(curves, task, [&] { return make_classifier(task); });
  report(task, curves);
}

}  // namespace

int main(int argc, char** argv) {
  const examples::Program program{"binary_classifier",
                                  "Trains a network to tell odd from even handwritten digits."};
  const auto options = examples::parse_command_line(argc, argv, program);
  return examples::exit_code(program.name, [&] { run(options); });
}
