#pragma once

// What a failed step must leave as it was, compared bit for bit.

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace natgrad::testing {

/// The same bytes: NaN equals itself, and -0 is not 0.
inline bool same_bits(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const auto x = a.detach().contiguous(), y = b.detach().contiguous();
  return x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

/// What torch::save writes of an optimizer: the same bytes are the same state.
inline std::string saved_state(const torch::optim::Optimizer& optimizer) {
  std::ostringstream stream;
  torch::save(optimizer, stream);
  return stream.str();
}

/// Parameters, gradients, requires_grad flags, the default generator, a module's buffers and
/// train/eval modes, and an optimizer's state, at one moment.
class Snapshot {
 public:
  explicit Snapshot(std::vector<torch::Tensor> parameters,
                    std::shared_ptr<torch::nn::Module> module = nullptr,
                    const torch::optim::Optimizer* optimizer = nullptr)
      : parameters_(std::move(parameters)),
        module_(std::move(module)),
        optimizer_(optimizer),
        generator_(generator()) {
    if (optimizer_) state_ = saved_state(*optimizer_);
    for (const auto& p : parameters_) {
      values_.push_back(p.detach().clone());
      gradients_.push_back(p.grad().defined() ? p.grad().detach().clone() : torch::Tensor());
      requires_grad_.push_back(p.requires_grad());
    }
    if (!module_) return;
    for (const auto& buffer : module_->buffers()) buffers_.push_back(buffer.detach().clone());
    training_ = modes();
  }

  void expect_unchanged() const {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      EXPECT_TRUE(same_bits(parameters_[i], values_[i])) << "parameter " << i << " moved";
      EXPECT_TRUE(same_bits(parameters_[i].grad(), gradients_[i]))
          << ".grad of " << i << " changed";
      EXPECT_EQ(parameters_[i].requires_grad(), requires_grad_[i]) << "requires_grad of " << i;
    }
    EXPECT_TRUE(same_bits(generator(), generator_)) << "the default generator advanced";
    EXPECT_TRUE(!optimizer_ || saved_state(*optimizer_) == state_)
        << "the optimizer's state changed";
    if (!module_) return;
    const auto buffers = module_->buffers();
    for (size_t i = 0; i < buffers.size(); ++i) {
      EXPECT_TRUE(same_bits(buffers[i], buffers_[i])) << "buffer " << i << " changed";
    }
    EXPECT_EQ(modes(), training_) << "train/eval modes changed";
  }

 private:
  static torch::Tensor generator() { return at::detail::getDefaultCPUGenerator().get_state(); }
  std::vector<bool> modes() const {
    std::vector<bool> modes;
    for (const auto& part : module_->modules()) modes.push_back(part->is_training());
    return modes;
  }

  std::vector<torch::Tensor> parameters_;
  std::shared_ptr<torch::nn::Module> module_;
  const torch::optim::Optimizer* optimizer_;
  std::string state_;
  torch::Tensor generator_;
  std::vector<torch::Tensor> values_, gradients_, buffers_;
  std::vector<bool> requires_grad_, training_;
};

}  // namespace natgrad::testing
