#include "optim/preserved.h"
#include <torch/torch.h>

#include <utility>

namespace natgrad::detail {

using torch::Tensor;

namespace {

Tensor copy_of(const Tensor& t) { return t.defined() ? t.detach().clone() : t; }

/// Whether nothing has changed. To compare takes memory on a GPU; where that has run out there is
/// no telling, and what is put back is written.
bool is_unchanged(const Tensor& tensor, const Tensor& value) {
  try {
    return torch::equal(tensor, value);
  } catch (const std::exception&) {  // not out of a destructor
    return false;
  }
}

/// Writes `value` into `tensor` if something has changed.
void put_back(Tensor tensor, const Tensor& value) {
  const bool alike = tensor.sizes() == value.sizes() && tensor.dtype() == value.dtype() &&
                     tensor.device() == value.device();
  if (!alike) {
    tensor.set_data(value);  // as model->to() does
  } else if (!is_unchanged(tensor, value)) {
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

}  // namespace

Preserved::~Preserved() {
  const torch::NoGradGuard no_grad;
  for (auto restore = restores_.rbegin(); restore != restores_.rend(); ++restore) (*restore)();
}

Preserved& Preserved::parameters(const std::vector<Tensor>& parameters) {
  for (const auto& parameter : parameters) restores_.push_back(parameter_state(parameter));
  return *this;
}

Preserved& Preserved::module(const Model& model) {
  for (const auto& buffer : model.buffers()) {
    restores_.push_back([buffer, value = copy_of(buffer)] { put_back(buffer, value); });
  }
  return modes(model);
}

Preserved& Preserved::generators(const torch::Device& device) {
  restores_.push_back(generator_states(device));
  return *this;
}

Preserved& Preserved::exchange_data(const std::vector<Tensor>& tensors,
                                    const std::vector<Tensor>& stand_ins) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    restores_.push_back(detail::exchange_data(tensors[i], stand_ins[i]));
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

Preserved& Preserved::exchange_buffers(const Model& model) {
  for (const auto& buffer : model.buffers()) exchange_data({buffer}, {copy_of(buffer)});
  return modes(model);
}

Preserved& Preserved::contents(const std::vector<Tensor>& tensors) {
  for (const auto& tensor : tensors) {
    restores_.push_back([memory = tensor.variable_data(), value = copy_of(tensor)] {
      if (!is_unchanged(memory, value)) memory.copy_(value);
    });
  }
  return *this;
}

Preserved& Preserved::modes(const Model& model) {
  // Undone the last first, so that the whole comes before its parts.
  const auto modes = model.modes();
  restores_.insert(restores_.end(), modes.rbegin(), modes.rend());
  return *this;
}

}  // namespace natgrad::detail
