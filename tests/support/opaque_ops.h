#pragma once

// Custom autograd functions with faulty backward passes, as users write them by accident.

#include <torch/torch.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace natgrad::testing {

/// x², whose backward detaches what arrives: a second backward pass sees a constant.
struct DetachingSquare : torch::autograd::Function<DetachingSquare> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x) {
    context->save_for_backward({x});
    return x * x;
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list gradients) {
    return {2 * context->get_saved_variables()[0] * gradients[0].detach()};
  }
};

/// sin(x), whose backward computes on raw data.
struct RawDataSine : torch::autograd::Function<RawDataSine> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x) {
    context->save_for_backward({x});
    return x.sin();
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list gradients) {
    const torch::NoGradGuard no_grad;
    const auto x = context->get_saved_variables()[0];
    auto result = torch::empty_like(x);
    const auto slope = x.cos().contiguous(), arriving = gradients[0].contiguous();
    for (int64_t i = 0; i < x.numel(); ++i) {
      result.data_ptr<double>()[i] = slope.data_ptr<double>()[i] * arriving.data_ptr<double>()[i];
    }
    return {result};
  }
};

/// 3x, whose backward is differentiable for one half only.
struct HalfDetachedTriple : torch::autograd::Function<HalfDetachedTriple> {
  static torch::Tensor forward(torch::autograd::AutogradContext*, const torch::Tensor& x) {
    return 3 * x;
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext*,
                                               torch::autograd::tensor_list gradients) {
    return {1.5 * gradients[0] + 1.5 * gradients[0].detach()};
  }
};

/// The identity with a sound gradient whose own derivative is NaN: products with J are NaN.
struct PoisonedIdentity : torch::autograd::Function<PoisonedIdentity> {
  struct Backward : torch::autograd::Function<Backward> {
    static torch::Tensor forward(torch::autograd::AutogradContext*, const torch::Tensor& x) {
      return x.clone();
    }
    static torch::autograd::tensor_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::tensor_list gradients) {
      return {gradients[0] * std::numeric_limits<double>::quiet_NaN()};
    }
  };
  static torch::Tensor forward(torch::autograd::AutogradContext*, const torch::Tensor& x) {
    return x.clone();
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext*,
                                               torch::autograd::tensor_list gradients) {
    return {Backward::apply(gradients[0])};
  }
};

struct OpaqueOp {
  std::string name;
  std::function<torch::Tensor(const torch::Tensor&)> apply;
};

inline std::ostream& operator<<(std::ostream& out, const OpaqueOp& op) { return out << op.name; }

/// Those whose J v would silently be wrong.
inline std::vector<OpaqueOp> opaque_ops() {
  return {
      {"DetachingSquare", [](const torch::Tensor& x) { return DetachingSquare::apply(x); }},
      {"RawDataSine", [](const torch::Tensor& x) { return RawDataSine::apply(x); }},
      {"HalfDetachedTriple", [](const torch::Tensor& x) { return HalfDetachedTriple::apply(x); }},
  };
}

}  // namespace natgrad::testing
