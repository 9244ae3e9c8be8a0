#include "optim/random_state.h"
#include <torch/torch.h>

#include <mutex>

namespace natgrad::detail {

namespace {

std::vector<at::Generator> default_generators(const torch::Device& device) {
  std::vector<at::Generator> generators = {at::globalContext().defaultGenerator(torch::kCPU)};
  if (!device.is_cpu()) generators.push_back(at::globalContext().defaultGenerator(device));
  return generators;
}

}  // namespace

RandomState::RandomState(const torch::Device& device) {
  for (auto& generator : default_generators(device)) {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    states_.emplace_back(generator, generator.get_state());
  }
}

void RandomState::restore() const {
  for (auto [generator, state] : states_) {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
}

}  // namespace natgrad::detail
