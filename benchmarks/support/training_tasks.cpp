#include "support/training_tasks.h"

#include <cmath>
#include <numbers>

#include "support/digits.h"

namespace benchmarks {

namespace nn = torch::nn;
namespace F = torch::nn::functional;
using torch::Tensor;

namespace {

Tensor mean_squared_error(const Tensor& z, const Tensor& y) { return F::mse_loss(z, y); }
Tensor cross_entropy(const Tensor& z, const Tensor& y) { return F::cross_entropy(z, y); }

Data digits(uint64_t seed, at::IntArrayRef shape) {
  const auto train = examples::read_digits(NATGRAD_DATA_DIR "/digits.csv", seed).train;
  return {train.data.reshape(shape), train.target};
}

/// y = scale·(Σₖ sin(1.5 wₖ·x + aₖ)/√3 + 0.3 ε), six waves in eight dimensions: the first part has
/// variance one.
Data regression(uint64_t seed, double scale) {
  constexpr int64_t kPoints = 1600, kFeatures = 8, kWaves = 6;
  constexpr double kFrequency = 1.5, kNoise = 0.3;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(1000 + seed);
  const auto x = torch::randn({kPoints, kFeatures}, generator);
  const auto w = torch::randn({kFeatures, kWaves}, generator) / std::sqrt(double(kFeatures));
  const auto phases = 2 * std::numbers::pi * torch::rand({kWaves}, generator);
  const auto signal = torch::sin(kFrequency * x.mm(w) + phases).sum(1) / std::sqrt(kWaves / 2.0);
  const auto y = signal + kNoise * torch::randn({kPoints}, generator);
  return {x, (scale * y).unsqueeze(1)};
}

nn::Sequential dense_classifier() {
  return nn::Sequential(nn::Linear(64, 64), nn::Tanh(), nn::Linear(64, 10));
}

nn::Sequential convolutional_classifier() {
  return nn::Sequential(nn::Conv2d(nn::Conv2dOptions(1, 8, 3).padding(1)), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Conv2d(nn::Conv2dOptions(8, 16, 3).padding(1)),
                        nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(), nn::Linear(64, 10));
}

nn::Sequential regressor() {
  return nn::Sequential(nn::Linear(8, 64), nn::Tanh(), nn::Linear(64, 64), nn::Tanh(),
                        nn::Linear(64, 1));
}

}  // namespace

const std::map<std::string, Task>& all_tasks() {
  static const std::map<std::string, Task> tasks = {
      {"digits",
       {"64-64-10, tanh, cross entropy, 1437 digits", 30,
        [](uint64_t seed) {
          return digits(seed, {-1, 64});
        },
        dense_classifier, cross_entropy}},
      {"conv",
       {"two convolutions and a linear layer, cross entropy, the same digits", 30,
        [](uint64_t seed) {
          return digits(seed, {-1, 1, 8, 8});
        },
        convolutional_classifier, cross_entropy}},
      {"regression",
       {"8-64-64-1, tanh, squared error, 1600 generated points", 50,
        [](uint64_t seed) { return regression(seed, 1); }, regressor, mean_squared_error}},
      {"regression30",
       {"the same with targets times 30", 50, [](uint64_t seed) { return regression(seed, 30); },
        regressor, mean_squared_error}}};
  return tasks;
}

}  // namespace benchmarks
