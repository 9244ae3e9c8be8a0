// Trains a small classifier on handwritten digits with natgrad::NaturalGradient, and, from the same
// start and on the same batches, with Adam at three learning rates. `--help` lists the options.

#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <chrono>
#include <functional>

#include "support/report.h"
#include "support/task.h"

namespace F = torch::nn::functional;
using examples::EpochRecord, examples::Task, examples::TrainingCurve;
using Batch = torch::data::Example<>;

namespace {

/// The same network, with the same weights, at each call.
torch::nn::Sequential make_classifier(const Task& task) {
  constexpr int64_t kHidden = 64, kClasses = 10;
  torch::manual_seed(task.options.seed);
  torch::nn::Sequential model(torch::nn::Linear(task.features(), kHidden), torch::nn::Tanh(),
                              torch::nn::Linear(kHidden, kClasses));
  model->to(task.options.device);
  return model;
}

/// One step of training on a batch; what it has to tell goes into the epoch's record.
using Step = std::function<void(const Batch& batch, EpochRecord& record)>;

/// Takes `step` on all batches of an epoch, and the time.
void train_epoch(const Task& task, const torch::Generator& generator, const Step& step,
                 EpochRecord& record) {
  const auto start = std::chrono::steady_clock::now();
  for (const auto& rows : task.shuffled_batches(generator)) {
    step(examples::select(task.data.train, rows), record);
  }
  if (task.options.device.is_cuda()) torch::cuda::synchronize(task.options.device.index());
  record.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void evaluate(const Task& task, torch::nn::Sequential& model, EpochRecord& record) {
  const torch::NoGradGuard no_grad;
  const auto &train = task.data.train, &held_out = task.data.held_out;
  record.training_loss = F::cross_entropy(model->forward(train.data), train.target).item<double>();
  const auto hits = model->forward(held_out.data).argmax(1) == held_out.target;
  record.accuracy = hits.to(torch::kFloat32).mean().item<double>();
}

TrainingCurve train(const Task& task, const std::string& method, torch::nn::Sequential& model,
                    const Step& step) {
  fmt::print("\n{}\n", method);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(task.options.seed);
  TrainingCurve curve{method, {}};
  EpochRecord record;
  for (int64_t epoch = 0; epoch <= task.options.epochs; ++epoch) {
    record = {.epoch = epoch, .seconds = record.seconds};
    if (epoch > 0) train_epoch(task, generator, step, record);
    evaluate(task, model, record);
    print_progress(record);
    curve.epochs.push_back(record);
  }
  return curve;
}

TrainingCurve train_with_natural_gradient(const Task& task) {
  auto model = make_classifier(task);
  natgrad::NaturalGradient optimizer(model->parameters());

  return train(task, "NaturalGradient", model, [&](const Batch& batch, EpochRecord& record) {
    optimizer.step(F::cross_entropy(model->forward(batch.data), batch.target));

    const auto& summary = optimizer.summary();
    record.lambda = summary.lambda;
    record.cg_iterations += summary.solver.iterations;
    record.natural_steps += 1;
    record.refused_steps += summary.outcome != natgrad::StepOutcome::Accepted;
  });
}

TrainingCurve train_with_adam(const Task& task, double lr) {
  auto model = make_classifier(task);
  torch::optim::Adam optimizer(model->parameters(), lr);

  const auto method = fmt::format("Adam, lr {:g}", lr);
  return train(task, method, model, [&](const Batch& batch, EpochRecord&) {
    optimizer.zero_grad();
    F::cross_entropy(model->forward(batch.data), batch.target).backward();
    optimizer.step();
  });
}

void run(const examples::TrainingOptions& options) {
  examples::check_writable(options.output + ".json");
  torch::set_num_threads(options.threads);
  const Task task = examples::load_task(options);
  fmt::print("{}\n", task.describe());

  std::vector<TrainingCurve> curves{train_with_natural_gradient(task)};
  for (const double lr : {1e-3, 3e-3, 1e-2}) curves.push_back(train_with_adam(task, lr));
  examples::print_table(curves);
  examples::write_report(options.output, task.describe(), curves);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = examples::parse_command_line(argc, argv, "digits_classifier",
                                                    "Trains a classifier of handwritten digits.");
  try {
    run(options);
    return EXIT_SUCCESS;
  } catch (const c10::Error& error) {
    fmt::print(stderr, "digits_classifier: {}\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    fmt::print(stderr, "digits_classifier: {}\n", error.what());
  }
  return EXIT_FAILURE;
}
