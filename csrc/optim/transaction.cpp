#include "optim/transaction.h"
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

namespace {

Tensor copy_of(const Tensor& t) { return t.defined() ? t.detach().clone() : t; }

}  // namespace

Transaction::Transaction(std::vector<Tensor> parameters, std::shared_ptr<torch::nn::Module> module)
    : parameters_(std::move(parameters)),
      random_state_(parameters_.front().device()),
      module_state_(module) {
  for (const auto& parameter : parameters_) {
    values_.push_back(copy_of(parameter));
    requires_grad_.push_back(parameter.requires_grad());
    gradients_.push_back({parameter.grad(), copy_of(parameter.grad())});
  }
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
  random_state_.restore();
  module_state_.restore();
}

}  // namespace natgrad::detail
