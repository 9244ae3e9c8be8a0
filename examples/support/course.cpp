#include "support/course.h"

#include <torch/torch.h>

#include <chrono>

#include "support/evaluation.h"
#include "support/interruption.h"

namespace examples {

Course::Course(const Task& task, const Step& step)
    : task_(task),
      step_(step),
      generator_(at::make_generator<at::CPUGeneratorImpl>(task.options.seed)),
      before_epoch_(generator_.get_state()) {}

void Course::take_steps(int64_t count, TrainingRecord& record) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t k = 0; k < count && !is_interrupted(); ++k, ++steps_) {
    step_(select(task_.data.train, next_rows()), record);
  }
  if (task_.options.device.is_cuda()) torch::cuda::synchronize(task_.options.device.index());
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TrainingRecord Course::look(const Model& model, TrainingRecord record) const {
  record.epochs = static_cast<double>(steps_) / static_cast<double>(task_.steps_per_epoch());
  record.seconds = seconds_;
  record.training_loss = mean_over(task_.data.train, model.loss);
  record.held_out_loss = mean_over(task_.data.held_out, model.loss);
  record.held_out_share = mean_over(task_.data.held_out, model.hits);
  return record;
}

Course::Place Course::place() const {
  const bool is_between = epoch_.empty();
  const int64_t left = static_cast<int64_t>(epoch_.size());
  return {.steps = steps_,
          .steps_in_epoch = is_between ? 0 : task_.steps_per_epoch() - left,
          .seconds = seconds_,
          .generator = is_between ? generator_.get_state() : before_epoch_};
}

void Course::go_to(const Place& place) {
  steps_ = place.steps;
  seconds_ = place.seconds;
  generator_.set_state(place.generator);
  epoch_.clear();
  if (place.steps_in_epoch == 0) return;
  draw_epoch();
  epoch_.erase(epoch_.begin(), epoch_.begin() + place.steps_in_epoch);
}

torch::Tensor Course::next_rows() {
  if (epoch_.empty()) draw_epoch();
  const auto rows = epoch_.front();
  epoch_.pop_front();
  return rows;
}

void Course::draw_epoch() {
  before_epoch_ = generator_.get_state();
  const auto batches = task_.shuffled_batches(generator_);
  epoch_.assign(batches.begin(), batches.end());
}

}  // namespace examples
