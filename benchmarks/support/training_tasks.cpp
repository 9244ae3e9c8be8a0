#include "support/training_tasks.h"

#include <optional>

#include "support/digits.h"
#include "support/mnist.h"
#include "support/networks.h"
#include "support/waves.h"

namespace benchmarks {

namespace nn = torch::nn;
namespace F = torch::nn::functional;
using examples::Dataset, torch::Tensor;

namespace {

Tensor cross_entropy(const Tensor& z, const Tensor& y) { return F::cross_entropy(z, y); }
Tensor most_likely(const Tensor& z, const Tensor& y) { return z.argmax(1) == y; }
Tensor cross_entropy_of_logits(const Tensor& z, const Tensor& y) {
  return F::binary_cross_entropy_with_logits(z, y);
}
Tensor on_its_side(const Tensor& z, const Tensor& y) { return (z > 0) == (y == 1); }
Tensor mean_squared_error(const Tensor& z, const Tensor& y) { return F::mse_loss(z, y); }

Dataset digits(uint64_t seed) {
  return examples::read_digits(NATGRAD_DATA_DIR "/digits.csv", seed);
}

Dataset odd_or_even(uint64_t seed) {
  auto data = digits(seed);
  for (auto* part : {&data.train, &data.held_out}) {
    part->target = part->target.remainder(2).to(torch::kFloat32).unsqueeze(1);
  }
  return data;
}

Dataset as_images(Dataset data, int64_t side) {
  for (auto* part : {&data.train, &data.held_out}) {
    part->data = part->data.reshape({-1, 1, side, side});
  }
  return data;
}

/// Reads the folder when first called.
std::function<Dataset()> read_once(const std::string& folder) {
  return [folder, data = std::make_shared<std::optional<Dataset>>()] {
    if (!*data) *data = examples::read_mnist(folder);
    return **data;
  };
}

auto network(std::vector<int64_t> widths) {
  return [widths] { return tanh_network(widths); };
}

Task digits_task() {
  return {"64-64-10, tanh, cross entropy, 1437 digits",
          30,
          digits,
          network({64, 64, 10}),
          cross_entropy,
          most_likely};
}

Task binary_task() {
  return {"64-64-1, tanh, is the digit odd?, the same digits",
          30,
          odd_or_even,
          network({64, 64, 1}),
          cross_entropy_of_logits,
          on_its_side};
}

Task conv_task() {
  const auto load = [](uint64_t seed) { return as_images(digits(seed), 8); };
  return {"two convolutions and a linear layer, cross entropy, the same digits",
          30,
          load,
          small_convolutional_network,
          cross_entropy,
          most_likely};
}

Task regression_task(double scale, int64_t epochs) {
  const auto load = [scale](uint64_t seed) { return noisy_waves(seed, scale); };
  return {fmt::format("8-64-64-1, tanh, squared error, 1600 generated points, targets times {:g}",
                      scale),
          epochs,
          load,
          network({8, 64, 64, 1}),
          mean_squared_error,
          {}};
}

Task fashion_task(const std::function<Dataset()>& fashion) {
  return {"784-128-10, tanh, cross entropy, Fashion-MNIST",
          3,
          [fashion](uint64_t) { return fashion(); },
          network({784, 128, 10}),
          cross_entropy,
          most_likely};
}

Task fashion_conv_task(const std::function<Dataset()>& fashion) {
  return {"two convolutions 5x5, stride 2, and a linear layer, cross entropy, Fashion-MNIST",
          1,
          [fashion](uint64_t) { return as_images(fashion(), 28); },
          strided_convolutional_network,
          cross_entropy,
          most_likely};
}

}  // namespace

Tasks make_tasks(const std::string& fashion_folder) {
  const auto fashion = read_once(fashion_folder);
  return {{"digits", digits_task()},
          {"binary", binary_task()},
          {"conv", conv_task()},
          {"regression", regression_task(1, 30)},
          {"regression30", regression_task(30, 50)},
          {"fashion", fashion_task(fashion)},
          {"fashion_conv", fashion_conv_task(fashion)}};
}

std::vector<std::string> names_of(const Tasks& tasks) {
  std::vector<std::string> names;
  for (const auto& [name, task] : tasks) names.push_back(name);
  return names;
}

}  // namespace benchmarks
