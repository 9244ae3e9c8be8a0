// u'' = f on (0, 1) with u(0) = u(1) = 0, from points inside and both ends.

#include <cmath>

#include "models/models.h"

namespace zoo {

Model physics_informed() {
  using namespace torch::nn;
  constexpr double kBoundaryWeight = 10;
  const auto points = torch::rand({kExamples, 1});
  const auto ends = torch::tensor({0.f, 1.f}).unsqueeze(1);

  Sequential net(Linear(1, 24), Tanh(), Linear(24, 24), Tanh(), Linear(24, 1));

  const auto derivative = [](const Tensor& u, const Tensor& x) {
    return torch::autograd::grad({u.sum()}, {x}, {}, true, true)[0];
  };
  return {net->parameters(), [=](int64_t batch) mutable {
            const auto x = rows(points, batch).clone().requires_grad_();
            const auto u_x = derivative(net->forward(x), x);
            const auto u_xx = derivative(u_x, x);
            const auto f = -M_PI * M_PI * torch::sin(M_PI * x.detach());
            return (u_xx - f).pow(2).mean() + kBoundaryWeight * net->forward(ends).pow(2).mean();
          }};
}

}  // namespace zoo
