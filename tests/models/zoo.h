#pragma once

// Small models as people write them, each with its data and its loss, one file a model. Nothing in
// them knows of natgrad: `zoo_test.cpp` trains them with it, `benchmarks/model_zoo.cpp` times it.

#include <torch/torch.h>

#include <functional>
#include <ostream>
#include <vector>

namespace zoo {

using torch::Tensor;

/// The training examples, in eight mini-batches of 64 (the graph's nodes are always all).
inline constexpr int64_t kExamples = 512, kBatch = 64, kBatches = kExamples / kBatch;

struct Model {
  std::vector<Tensor> parameters;
  /// The scalar training loss of the mini-batch of that number, as a training loop would have it.
  std::function<Tensor(int64_t batch)> loss;
  /// What the training is to lower, where that is not the mean of the losses (a policy's regret).
  std::function<double()> measure = nullptr;
};

/// The model's measure, or the mean loss of all mini-batches with the same random numbers at each
/// call; the default generator is left as it was.
double full_loss(const Model& model);

/// A published method that fits the model, beside the default.
enum class Preset { HessianFree, Kfac, KrylovSubspaceDescent, NaturalGradient, ScoreRows };

struct Expectation {
  double goal;  ///< of the full loss after `kSteps` steps from seed 0; see `kSteps`
  Preset preset;
  bool one_observation;                    ///< each example is one: a step by score rows fits
  std::vector<const char*> warnings = {};  ///< a part of each warning that may be given
};

/// Steps after which the goals hold, which are what the best of Adam's seven rates (1e-4 to 1e-1)
/// reaches in as many, less a tenth of its way from the start (`benchmarks/model_zoo --seeds 1`).
inline constexpr int64_t kSteps = 40;

struct Entry {
  const char* name;
  Model (*make)();
  Expectation expect;

  /// Data, start and whatever the loss draws follow from the seed.
  Model start(uint64_t seed) const;
};

std::ostream& operator<<(std::ostream& stream, const Entry& entry);

/// A warning of losses that cannot be read: what is taken for them is said once.
inline constexpr const char* kFound = "taken as a function of outputs found";

const std::vector<Entry>& zoo();

}  // namespace zoo
