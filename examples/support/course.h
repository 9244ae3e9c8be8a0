#pragma once

#include <torch/nn/module.h>

#include <deque>
#include <functional>
#include <memory>

#include "support/task.h"
#include "support/training_curve.h"

namespace examples {

/// What a method trains.
struct Model {
  std::shared_ptr<torch::nn::Module> network;             // which the functions call
  std::function<torch::Tensor(const Batch& batch)> loss;  // the mean over the batch
  std::function<torch::Tensor(const Batch& batch)> hits;  // bool: which examples it gets right

  std::vector<torch::Tensor> parameters() const { return network->parameters(); }
};

/// One step of training on a batch; what it has to tell goes into the record.
using Step = std::function<void(const Batch& batch, TrainingRecord& record)>;

/// One method's way through the batches, timed.
class Course {
 public:
  Course(const Task& task, const Step& step);

  /// As many, or fewer if the program is interrupted meanwhile.
  void take_steps(int64_t count, TrainingRecord& record);
  int64_t steps() const { return steps_; }
  double seconds() const { return seconds_; }
  /// Completes the record of the last steps by where `model` stands with them.
  TrainingRecord look(const Model& model, TrainingRecord record = {}) const;

  /// Where it stands: enough to go on with the same batches.
  struct Place {
    int64_t steps, steps_in_epoch;
    double seconds;
    torch::Tensor generator;  // its state where the epoch's batches were drawn
  };
  Place place() const;
  void go_to(const Place& place);

 private:
  torch::Tensor next_rows();
  void draw_epoch();

  const Task& task_;
  const Step& step_;
  torch::Generator generator_;
  torch::Tensor before_epoch_;       // the generator's state
  std::deque<torch::Tensor> epoch_;  // the rows of its batches that are left
  int64_t steps_ = 0;
  double seconds_ = 0;
};

}  // namespace examples
