#pragma once

#include <vector>

#include "support/classification_data.h"
#include "support/training_options.h"

namespace examples {

/// What all methods are given alike.
struct Task {
  TrainingOptions options;
  ClassificationData data;  // on the device

  int64_t training_size() const { return data.train.data.size(0); }
  int64_t features() const { return data.train.data.size(1); }
  int64_t batch_size() const { return std::min(options.batch, training_size()); }

  /// "digits: 1437 to train on, 360 held out, batch 128, seed 0"
  std::string describe() const;
  /// The rows of each batch of an epoch, in random order. An incomplete last batch is left out.
  std::vector<torch::Tensor> shuffled_batches(const torch::Generator& generator) const;
};

Task load_task(const TrainingOptions& options);

}  // namespace examples
