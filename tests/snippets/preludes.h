// What the code blocks of README, guide and headers stand in: a block with `prelude=classifier` is
// the body of a member function of a struct derived from `prelude::classifier`, so that its own
// names hide these. The data are small, and in double unless the block says otherwise.
#pragma once

#include <natgrad/curvatures.h>
#include <natgrad/diagnostics.h>
#include <natgrad/likelihoods.h>
#include <natgrad/natgrad.h>
#include <natgrad/operators.h>
#include <natgrad/variational.h>
#include <torch/torch.h>

#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <vector>

namespace F = torch::nn::functional;

namespace prelude {

/// x ↦ a hidden layer of tanh ↦ `outputs`.
inline torch::nn::Sequential network(int64_t inputs, int64_t outputs) {
  // Arguments of one call would be drawn in an order that is the compiler's.
  const torch::nn::Linear last(8, outputs), first(inputs, 8);
  torch::nn::Sequential model(first, torch::nn::Tanh(), last);
  model->to(torch::kDouble);
  return model;
}

/// Points of a quadrant and its opposite, and the others.
struct classifier {
  torch::Tensor x = torch::randn({64, 2}, torch::kDouble);
  torch::Tensor y = x.prod(1).gt(0).to(torch::kLong);
  torch::nn::Sequential model = network(2, 2);
  natgrad::NaturalGradient optimizer{model->parameters()};

  /// In eight pieces.
  std::vector<torch::Tensor> xs = x.chunk(8), ys = y.chunk(8);
  std::vector<torch::data::Example<>> batches{{x.narrow(0, 0, 32), y.narrow(0, 0, 32)},
                                              {x.narrow(0, 32, 32), y.narrow(0, 32, 32)}};

  torch::Tensor loss_of(const torch::Tensor& data, const torch::Tensor& target) {
    return F::cross_entropy(model->forward(data), target);
  }
};

/// A smooth function of three numbers, with noise.
struct regression {
  torch::Tensor x = torch::randn({64, 3}, torch::kDouble);
  torch::Tensor y = (x.select(1, 0) * x.select(1, 1)).tanh().unsqueeze(1) +
                    0.1 * torch::randn({64, 1}, torch::kDouble);
  torch::nn::Sequential model = network(3, 1);
  torch::Tensor z = model->forward(x);
  natgrad::NaturalGradient optimizer{model->parameters()};
};

/// Three outputs an example: two means and a log-odds of a count.
struct mixed_outputs {
  torch::Tensor x = torch::randn({64, 3}, torch::kDouble);
  torch::Tensor y = torch::cat(
      {torch::randn({64, 2}, torch::kDouble), torch::randint(0, 5, {64, 1}).to(torch::kDouble)}, 1);
  torch::nn::Sequential model = network(3, 3);
  torch::Tensor z = model->forward(x);
  natgrad::NaturalGradient optimizer{model->parameters()};
};

/// What a policy did in 64 states, and what came of it.
struct policy {
  torch::Tensor states = torch::randn({64, 6}, torch::kDouble);
  torch::Tensor actions = torch::randint(0, 4, {64, 1});
  torch::Tensor advantages = torch::randn({64, 1}, torch::kDouble);
  torch::nn::Sequential model = network(6, 4);
  natgrad::NaturalGradient optimizer{model->parameters()};
};

/// An artist that draws points from noise, and a critic that tells them from those of a ring.
struct two_players {
  torch::nn::Sequential artist = network(2, 2), critic = network(2, 1);
  torch::Tensor points = F::normalize(torch::randn({64, 2}, torch::kDouble));

  torch::Tensor verdict(const torch::Tensor& of, double label) {
    return F::binary_cross_entropy_with_logits(critic->forward(of),
                                               torch::full({64, 1}, label, torch::kDouble));
  }
};

/// What the headers' examples name.
struct reference : classifier {
  torch::nn::Sequential encoder = network(2, 3), decoder = network(3, 2);
  torch::nn::Sequential log_amplitude = network(2, 1);
  torch::Tensor energies = torch::randn({64, 1}, torch::kDouble);
  torch::Tensor lengths = torch::ones({5}, torch::kDouble).requires_grad_();
  torch::Tensor states = x, actions = y.unsqueeze(1);
  torch::Tensor advantages = torch::randn({64, 1}, torch::kDouble);

  torch::nn::Linear cell{10, 8};
  std::vector<torch::Tensor> inputs{x.to(torch::kFloat), x.to(torch::kFloat)};
  torch::Tensor h = torch::zeros({64, 8}), a = torch::randn({64, 8});

  torch::Tensor W = model->parameters()[0], I = torch::eye(8, torch::kDouble);
  torch::Tensor loss = loss_of(x, y);
  natgrad::LossGraph graph{loss_of(x, y), model->parameters()};
  torch::Tensor v = torch::randn({graph.parameters().size()}, torch::kDouble);
  uint64_t seed = 0;

  torch::Tensor my_loss(const torch::Tensor& outputs, const torch::Tensor& target) {
    return (outputs.select(1, 0) - target).cosh().log().mean();
  }
};

}  // namespace prelude
