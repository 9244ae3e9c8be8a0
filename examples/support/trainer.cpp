#include "support/trainer.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <chrono>

namespace examples {
namespace {

// A convolutional network on all of MNIST at once would take gigabytes.
constexpr int64_t kEvaluatedAtOnce = 5000;

/// Takes `step` on all batches of an epoch, and the time.
void train_epoch(const Task& task, const torch::Generator& generator, const Step& step,
                 EpochRecord& record) {
  const auto start = std::chrono::steady_clock::now();
  for (const auto& rows : task.shuffled_batches(generator)) {
    step(select(task.data.train, rows), record);
  }
  if (task.options.device.is_cuda()) torch::cuda::synchronize(task.options.device.index());
  record.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The mean over all examples of `measure`, which takes a batch and returns a value for each of its
/// examples or their mean.
double mean_over(const Batch& examples, const std::function<torch::Tensor(const Batch&)>& measure) {
  const torch::NoGradGuard no_grad;
  const int64_t size = examples.data.size(0);
  double sum = 0;
  for (int64_t begin = 0; begin < size; begin += kEvaluatedAtOnce) {
    const int64_t end = std::min(begin + kEvaluatedAtOnce, size);
    const Batch chunk(examples.data.slice(0, begin, end), examples.target.slice(0, begin, end));
    sum += (end - begin) * measure(chunk).to(torch::kDouble).mean().item<double>();
  }
  return sum / size;
}

void evaluate(const Task& task, const Model& model, EpochRecord& record) {
  record.training_loss = mean_over(task.data.train, model.loss);
  record.held_out_loss = mean_over(task.data.held_out, model.loss);
  record.held_out_share = mean_over(task.data.held_out, model.hits);
}

}  // namespace

TrainingCurve train(const Task& task, const std::string& method, const Model& model,
                    const Step& step) {
  fmt::print("\n{}\n", method);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(task.options.seed);
  TrainingCurve curve{method, {}};
  EpochRecord record;
  for (int64_t epoch = 0; epoch <= task.options.epochs; ++epoch) {
    record = {.epoch = epoch, .seconds = record.seconds};
    if (epoch > 0) train_epoch(task, generator, step, record);
    evaluate(task, model, record);
    print_progress(record, task.share);
    curve.epochs.push_back(record);
  }
  return curve;
}

TrainingCurve train_with_adam(const Task& task, const Model& model, double lr) {
  torch::optim::Adam optimizer(model.parameters, lr);
  return train(task, fmt::format("Adam, lr {:g}", lr), model,
               [&](const Batch& batch, EpochRecord&) {
                 optimizer.zero_grad();
                 model.loss(batch).backward();
                 optimizer.step();
               });
}

}  // namespace examples
