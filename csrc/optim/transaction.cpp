#include <natgrad/optim/transaction.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

Tensor copy_of(const Tensor& t) { return t.defined() ? t.detach().clone() : t; }

/// The default generators that a closure may draw from: the CPU's, and that of the parameters'
/// device.
std::vector<at::Generator> default_generators(const torch::Device& device) {
  std::vector<at::Generator> generators = {at::globalContext().defaultGenerator(torch::kCPU)};
  if (!device.is_cpu()) generators.push_back(at::globalContext().defaultGenerator(device));
  return generators;
}

Tensor state_of(at::Generator& generator) {
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

/// Writing invalidates graphs that saved the tensor: only where something has changed.
void put_back(Tensor& tensor, const Tensor& value) {
  const bool alike = tensor.sizes() == value.sizes() && tensor.dtype() == value.dtype() &&
                     tensor.device() == value.device();
  if (!alike) {
    tensor.set_data(value);  // as model->to() does
  } else if (!torch::equal(tensor, value)) {
    tensor.copy_(value);
  }
}

}  // namespace

Transaction::Transaction(std::vector<Tensor> parameters, std::shared_ptr<torch::nn::Module> module)
    : parameters_(std::move(parameters)) {
  for (const auto& parameter : parameters_) {
    values_.push_back(copy_of(parameter));
    requires_grad_.push_back(parameter.requires_grad());
    gradients_.push_back({parameter.grad(), copy_of(parameter.grad())});
  }
  for (auto& generator : default_generators(parameters_.front().device())) {
    generators_.push_back({generator, state_of(generator)});
  }
  if (!module) return;
  for (const auto& part : module->modules()) modules_.push_back({part, part->is_training()});
  for (const auto& buffer : module->buffers()) buffers_.push_back({buffer, copy_of(buffer)});
}

Transaction::~Transaction() {
  if (!committed_) restore();
}

void Transaction::restore() {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    auto& parameter = parameters_[i];
    parameter.mutable_grad() = Tensor();  // it must not stand against a change of the data
    put_back(parameter, values_[i]);
    parameter.requires_grad_(requires_grad_[i]);
    auto& [gradient, value] = gradients_[i];
    if (gradient.defined()) put_back(gradient, value);
    parameter.mutable_grad() = gradient;
  }
  for (auto& [generator, state] : generators_) {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
  for (auto& [module, training] : modules_) module->train(training);
  for (auto& [buffer, value] : buffers_) {
    if (buffer.defined()) put_back(buffer, value);
  }
}

}  // namespace natgrad
