#pragma once

// Whether a diagnostic has left parameters, `.grad`s and generators as they were.

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <vector>

#include "support/oracles.h"

namespace natgrad::testing {

class Traces {
 public:
  explicit Traces(std::vector<Tensor> parameters) : parameters_(std::move(parameters)) {
    for (auto& p : parameters_) {
      p.mutable_grad() = torch::full_like(p, 7).detach();
      values_.push_back(p.detach().clone());
      memory_.push_back(p.data_ptr());
    }
    generator_ = default_state();
  }
  void expect_none() const {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      EXPECT_EQ(parameters_[i].data_ptr(), memory_[i]);
      EXPECT_TRUE(identical(parameters_[i].detach(), values_[i]));
      EXPECT_TRUE(parameters_[i].grad().eq(7).all().item<bool>());
      EXPECT_TRUE(parameters_[i].requires_grad());
    }
    EXPECT_TRUE(torch::equal(default_state(), generator_));
  }

 private:
  static Tensor default_state() {
    return at::globalContext().defaultGenerator(torch::kCPU).get_state();
  }
  std::vector<Tensor> parameters_, values_;
  std::vector<void*> memory_;
  Tensor generator_;
};

/// The loss, but an error with the `calls`-th call.
template <class Loss>
auto failing_at(int calls, Loss loss) {
  return [left = std::make_shared<int>(calls), loss]() -> Tensor {
    TORCH_CHECK(--*left > 0, "the user's own error");
    return loss();
  };
}

}  // namespace natgrad::testing
