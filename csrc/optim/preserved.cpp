#include "optim/preserved.h"
#include <torch/torch.h>

#include <mutex>
#include <utility>

namespace natgrad::detail {

using torch::Tensor;

namespace {

Tensor copy_of(const Tensor& t) { return t.defined() ? t.detach().clone() : t; }

/// Writes `value` into `tensor` if something has changed.
void put_back(Tensor tensor, const Tensor& value) {
  const bool alike = tensor.sizes() == value.sizes() && tensor.dtype() == value.dtype() &&
                     tensor.device() == value.device();
  if (!alike) {
    tensor.set_data(value);  // as model->to() does
  } else if (!torch::equal(tensor, value)) {
    tensor.copy_(value);
  }
}

/// A parameter's value, flag and `.grad`.
Restore parameter_state(Tensor parameter) {
  const auto value = copy_of(parameter);
  const bool requires_grad = parameter.requires_grad();
  const auto gradient = parameter.grad(), gradient_value = copy_of(gradient);
  return [=]() mutable {
    parameter.mutable_grad() = Tensor();  // it must not stand against a change of the data
    put_back(parameter, value);
    parameter.requires_grad_(requires_grad);
    if (gradient.defined()) put_back(gradient, gradient_value);
    parameter.mutable_grad() = gradient;
  };
}

std::vector<at::Generator> default_generators(const torch::Device& device) {
  std::vector<at::Generator> generators = {at::globalContext().defaultGenerator(torch::kCPU)};
  if (!device.is_cpu()) generators.push_back(at::globalContext().defaultGenerator(device));
  return generators;
}

/// Those of a module, if there is one, that hold something.
std::vector<Tensor> buffers_of(const std::shared_ptr<torch::nn::Module>& module) {
  std::vector<Tensor> buffers;
  if (!module) return buffers;
  for (const auto& buffer : module->buffers()) {
    if (buffer.defined()) buffers.push_back(buffer);
  }
  return buffers;
}

}  // namespace

Restore generator_states(const torch::Device& device) {
  std::vector<std::pair<at::Generator, Tensor>> states;
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

Preserved::~Preserved() {
  const torch::NoGradGuard no_grad;
  for (auto restore = restores_.rbegin(); restore != restores_.rend(); ++restore) (*restore)();
}

Preserved& Preserved::parameters(const std::vector<Tensor>& parameters) {
  for (const auto& parameter : parameters) restores_.push_back(parameter_state(parameter));
  return *this;
}

Preserved& Preserved::module(const std::shared_ptr<torch::nn::Module>& module) {
  for (const auto& buffer : buffers_of(module)) {
    restores_.push_back([buffer, value = copy_of(buffer)] { put_back(buffer, value); });
  }
  return modes(module);
}

Preserved& Preserved::generators(const torch::Device& device) {
  restores_.push_back(generator_states(device));
  return *this;
}

Preserved& Preserved::exchange_data(const std::vector<Tensor>& tensors,
                                    const std::vector<Tensor>& stand_ins) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    Tensor tensor = tensors[i];
    restores_.push_back([tensor, own = tensor.detach()]() mutable { tensor.set_data(own); });
    tensor.set_data(stand_ins[i]);
  }
  return *this;
}

Preserved& Preserved::exchange_gradients(const std::vector<Tensor>& parameters) {
  for (Tensor parameter : parameters) {
    const auto own = parameter.grad();
    restores_.push_back([parameter, own]() mutable { parameter.mutable_grad() = own; });
    parameter.mutable_grad() = copy_of(own);
  }
  return *this;
}

Preserved& Preserved::exchange_buffers(const std::shared_ptr<torch::nn::Module>& module) {
  for (const auto& buffer : buffers_of(module)) exchange_data({buffer}, {copy_of(buffer)});
  return modes(module);
}

Preserved& Preserved::modes(const std::shared_ptr<torch::nn::Module>& module) {
  if (!module) return *this;
  // Undone the last first, and train(mode) reaches the parts too: so the whole comes last here.
  const auto modules = module->modules();
  for (auto part = modules.rbegin(); part != modules.rend(); ++part) {
    restores_.push_back(
        [part = *part, training = (*part)->is_training()] { part->train(training); });
  }
  return *this;
}

}  // namespace natgrad::detail
