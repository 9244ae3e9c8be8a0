#include "optim/module_state.h"
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

void put_back(Tensor tensor, const Tensor& value) {
  const bool alike = tensor.sizes() == value.sizes() && tensor.dtype() == value.dtype() &&
                     tensor.device() == value.device();
  if (!alike) {
    tensor.set_data(value);  // as model->to() does
  } else if (!torch::equal(tensor, value)) {
    tensor.copy_(value);
  }
}

ModuleState::ModuleState(const std::shared_ptr<torch::nn::Module>& module) {
  if (!module) return;
  for (const auto& part : module->modules()) modules_.push_back({part, part->is_training()});
  for (const auto& buffer : module->buffers()) {
    buffers_.push_back({buffer, buffer.defined() ? buffer.detach().clone() : Tensor()});
  }
}

void ModuleState::restore() const {
  const torch::NoGradGuard no_grad;
  for (const auto& [module, training] : modules_) module->train(training);
  for (const auto& [buffer, value] : buffers_) {
    if (buffer.defined()) put_back(buffer, value);
  }
}

}  // namespace natgrad::detail
