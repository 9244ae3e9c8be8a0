#pragma once

#include <torch/torch.h>

#include "support/methods.h"
#include "support/training_tasks.h"

namespace benchmarks {

/// What every method is given alike: the seed decides on data, start and batches.
struct Start {
  Start(const Task& task, int64_t batch_size, uint64_t seed);

  const Task& task;
  examples::Dataset data;
  int64_t batch_size;  ///< at most the training set
  uint64_t seed;

  int64_t steps_per_epoch() const { return data.train.data.size(0) / batch_size; }
};

/// A course of training by one method, which can be stopped to look at it.
class Training {
 public:
  Training(const Start& start, const Method& method);

  /// Takes a step on the next batch. Each epoch has its own order, and leaves an incomplete last
  /// batch out.
  void step();
  int64_t steps() const { return steps_; }
  double epochs() const;
  /// Processor seconds of forward passes, losses and steps so far; drawing batches and looking
  /// do not count.
  double seconds() const { return seconds_; }

  /// The loss of the first `most` training examples; one that is not finite counts as infinite.
  double training_loss(int64_t most);
  /// Of the held-out examples, the share of hits, or their loss where the task has no hits.
  double held_out();

 private:
  examples::Batch next_batch();
  double loss_of(const examples::Batch& examples);

  const Start& start_;
  torch::nn::Sequential model_;
  Step step_;
  at::Generator generator_;
  std::vector<torch::Tensor> rest_of_epoch_;  ///< rows of batches, the next one last
  int64_t steps_ = 0;
  double seconds_ = 0;
};

}  // namespace benchmarks
