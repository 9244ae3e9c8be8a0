#include "linalg/restore.h"
#include <torch/torch.h>

#include <mutex>
#include <utility>

namespace natgrad::detail {

std::vector<at::Generator> default_generators(const torch::Device& device) {
  std::vector<at::Generator> generators = {at::globalContext().defaultGenerator(torch::kCPU)};
  if (!device.is_cpu()) generators.push_back(at::globalContext().defaultGenerator(device));
  return generators;
}

Restore generator_states(const torch::Device& device) {
  std::vector<std::pair<at::Generator, torch::Tensor>> states;
  for (auto& generator : default_generators(device)) {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    states.emplace_back(generator, generator.get_state());
  }
  return [states] {
    for (auto [generator, state] : states) {
      const std::lock_guard<std::mutex> lock(generator.mutex());
      generator.set_state(state);
    }
  };
}

Restore exchange_data(torch::Tensor tensor, const torch::Tensor& stand_in) {
  Restore restore = [tensor, own = tensor.detach()]() mutable { tensor.set_data(own); };
  tensor.set_data(stand_in);
  return restore;
}

}  // namespace natgrad::detail
