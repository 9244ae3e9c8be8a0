#include "optim/model.h"

#include <torch/script.h>
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

std::vector<Tensor> Model::buffers() const {
  std::vector<Tensor> buffers;
  const auto add = [&buffers](const Tensor& buffer) {
    if (buffer.defined()) buffers.push_back(buffer);
  };
  if (module_) {
    for (const auto& buffer : module_->buffers()) add(buffer);
  }
  if (scripted_) {
    for (const auto& buffer : scripted_->buffers()) add(buffer);
  }
  return buffers;
}

std::vector<std::function<void()>> Model::modes() const {
  // train(mode) reaches the parts too: so they come after the whole.
  std::vector<std::function<void()>> modes;
  if (module_) {
    for (const auto& part : module_->modules()) {
      modes.push_back([part, training = part->is_training()] { part->train(training); });
    }
  }
  if (scripted_) {
    for (torch::jit::Module part : scripted_->modules()) {
      modes.push_back([part, training = part.is_training()]() mutable { part.train(training); });
    }
  }
  return modes;
}

}  // namespace natgrad::detail
