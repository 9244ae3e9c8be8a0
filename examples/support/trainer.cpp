#include "support/trainer.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <chrono>
#include <deque>

#include "support/evaluation.h"

namespace examples {
namespace {

constexpr int64_t kFewestRecords = 12;  // of a method's training, the start's not counted
constexpr int64_t kStepsAtOnce = 5;     // of Adam, between two looks at the clock

/// One method's way through the batches, timed.
class Course {
 public:
  Course(const Task& task, const Step& step)
      : task_(task),
        step_(step),
        generator_(at::make_generator<at::CPUGeneratorImpl>(task.options.seed)) {}

  void take_steps(int64_t count, TrainingRecord& record) {
    const auto start = std::chrono::steady_clock::now();
    for (int64_t k = 0; k < count; ++k) step_(select(task_.data.train, next_rows()), record);
    if (task_.options.device.is_cuda()) torch::cuda::synchronize(task_.options.device.index());
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    steps_ += count;
  }

  int64_t steps() const { return steps_; }
  double seconds() const { return seconds_; }
  /// Completes the record of the last steps by where `model` stands with them.
  TrainingRecord look(const Model& model, TrainingRecord record = {}) const {
    record.epochs = static_cast<double>(steps_) / static_cast<double>(task_.steps_per_epoch());
    record.seconds = seconds_;
    record.training_loss = mean_over(task_.data.train, model.loss);
    record.held_out_loss = mean_over(task_.data.held_out, model.loss);
    record.held_out_share = mean_over(task_.data.held_out, model.hits);
    return record;
  }

 private:
  torch::Tensor next_rows() {
    if (epoch_.empty()) {
      const auto batches = task_.shuffled_batches(generator_);
      epoch_.assign(batches.begin(), batches.end());
    }
    const auto rows = epoch_.front();
    epoch_.pop_front();
    return rows;
  }

  const Task& task_;
  const Step& step_;
  torch::Generator generator_;
  std::deque<torch::Tensor> epoch_;  // the rows of its batches that are left
  int64_t steps_ = 0;
  double seconds_ = 0;
};

TrainingCurve train_with_adam(const Task& task, const Model& model, double lr, double seconds) {
  torch::optim::Adam optimizer(model.parameters, lr);
  const Step step = [&](const Batch& batch, TrainingRecord&) {
    optimizer.zero_grad();
    model.loss(batch).backward();
    optimizer.step();
  };
  Course course(task, step);
  TrainingCurve curve{fmt::format("Adam, lr {:g}", lr), {course.look(model)}};
  for (int64_t k = 1; k <= kFewestRecords; ++k) {
    TrainingRecord record;
    while (course.seconds() < seconds * k / kFewestRecords) course.take_steps(kStepsAtOnce, record);
    curve.records.push_back(course.look(model, record));
  }
  return curve;
}

}  // namespace

TrainingCurve train(const Task& task, const std::string& method, const Model& model,
                    const Step& step) {
  fmt::print("\n{}\n", method);
  Course course(task, step);
  TrainingCurve curve{method, {course.look(model)}};
  print_progress(curve.records.back(), task.share);
  const int64_t total = task.options.epochs * task.steps_per_epoch();
  const int64_t wanted = (kFewestRecords + task.options.epochs - 1) / task.options.epochs;
  const int64_t parts = task.options.epochs * std::min(wanted, task.steps_per_epoch());
  for (int64_t part = 1; part <= parts; ++part) {
    TrainingRecord record;
    course.take_steps(total * part / parts - course.steps(), record);
    curve.records.push_back(course.look(model, record));
    print_progress(curve.records.back(), task.share);
  }
  return curve;
}

void add_adam(std::vector<TrainingCurve>& curves, const Task& task,
              const std::function<Model()>& make_model) {
  const double seconds = curves.front().records.back().seconds;
  fmt::print("\nAdam at {} rates, {:.2f} s each\n", kAdamRates.size(), seconds);
  for (const double lr : kAdamRates) {
    curves.push_back(train_with_adam(task, make_model(), lr, seconds));
    const auto& record = curves.back().records.back();
    fmt::print("lr {:<7g} epoch {:6.1f}  loss {:<8.3g}  {} {:5.1f}%\n", lr, record.epochs,
               record.training_loss, task.share, 100 * record.held_out_share);
    std::fflush(stdout);
  }
}

}  // namespace examples
