#pragma once

#include "detail.h"

#include <natgrad/optim/options.h>
#include <torch/types.h>

#include <functional>
#include <vector>

namespace natgrad::detail {

/// The modules that the options name, of torch::nn, scripted, both or none: what a call of them
/// changes besides parameters.
class Model {
 public:
  Model() = default;
  explicit Model(const NaturalGradientOptions& options)
      : module_(options.module()), scripted_(options.scripted_module()) {}

  explicit Model(std::shared_ptr<torch::nn::Module> module) : module_(std::move(module)) {}

  bool is_given() const { return module_ || scripted_; }
  /// The buffers that hold something.
  std::vector<torch::Tensor> buffers() const;
  /// By part, what puts its train/eval mode back as it is now; to be called in this order.
  std::vector<std::function<void()>> modes() const;

 private:
  std::shared_ptr<torch::nn::Module> module_;
  std::shared_ptr<torch::jit::Module> scripted_;
};

}  // namespace natgrad::detail
