#pragma once

#include <algorithm>
#include <vector>

#include "support/dataset.h"
#include "support/training_options.h"

namespace examples {

/// What all methods are given alike.
struct Task {
  TrainingOptions options;
  Dataset data;                    // on the device
  std::string share = "accuracy";  // what to call the share of `Model::hits`

  int64_t training_size() const { return data.train.data.size(0); }
  int64_t features() const { return data.train.data.size(1); }
  int64_t batch_size() const { return std::min(options.batch, training_size()); }
  int64_t steps_per_epoch() const { return training_size() / batch_size(); }

  /// Where a run that is interrupted is kept.
  std::string checkpoint() const { return options.output + ".checkpoint"; }
  /// "digits: 1437 to train on, 360 held out, batch 128, seed 0"
  std::string describe() const;
  /// The rows of each batch of an epoch, in random order. An incomplete last batch is left out.
  std::vector<torch::Tensor> shuffled_batches(const torch::Generator& generator) const;
};

/// The digits, or MNIST, as the options say.
Dataset load_digits(const TrainingOptions& options);

/// Brings the data to the device, sets the number of threads and says what will be done. Throws
/// `c10::Error` if the output cannot be written.
Task start_task(const TrainingOptions& options, Dataset data, const std::string& share);

}  // namespace examples
