// PyTorch's gaussian_nll_loss, which LibTorch's C++ has not: means and softplus variances.

#include "models/models.h"

namespace zoo {
namespace {

Tensor gaussian_nll_loss_of(const Tensor& input, const Tensor& target, const Tensor& variance) {
  constexpr double kEpsilon = 1e-6;
  auto var = variance.clone();
  {
    const torch::NoGradGuard no_grad;  // as in Python: the clamp is not differentiated
    var.clamp_(kEpsilon);
  }
  return (0.5 * (torch::log(var) + (input - target).pow(2) / var)).mean();
}

}  // namespace

Model gaussian_nll_loss() {
  using namespace torch::nn;
  const auto x = torch::randn({kExamples, 3});
  const auto spread = 0.2 + 0.5 * x.select(1, 1).abs();
  const auto y = x.select(1, 0) * x.select(1, 2) + spread * torch::randn({kExamples});

  Sequential net(Linear(3, 32), ReLU(), Linear(32, 2));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto head = net->forward(rows(x, batch));
            const auto variance = torch::softplus(head.select(1, 1));
            return gaussian_nll_loss_of(head.select(1, 0), rows(y, batch), variance);
          }};
}

}  // namespace zoo
