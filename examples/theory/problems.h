#pragma once

#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/options.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <torch/types.h>

#include <vector>

#include "theory/section.h"

namespace examples::theory {

/// One layer of tanh units, z = W₂ tanh(W₁ x + b₁) + b₂, in double.
class Network {
 public:
  Network(int64_t inputs, int64_t units, int64_t outputs, uint64_t seed);

  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  /// P.
  int64_t size() const { return theta().numel(); }
  /// θ, [P], a copy.
  torch::Tensor theta() const;
  void assign(const torch::Tensor& theta) const;
  torch::Tensor operator()(const torch::Tensor& x) const { return of(parameters_, x); }
  /// z at another θ, [P], differentiable in it.
  torch::Tensor at(const torch::Tensor& theta, const torch::Tensor& x) const;

 private:
  static torch::Tensor of(const std::vector<torch::Tensor>& parameters, const torch::Tensor& x);
  std::vector<torch::Tensor> parameters_;
};

/// Some of the digits, in double: the pixels, [N, 64], from 0 to 1; and 4 x 4 means of them.
struct Digits {
  torch::Tensor pixels, coarse, labels;
  int64_t count() const { return labels.size(0); }
  Digits rows(const torch::Tensor& indices) const;
};
/// `count` digits of the material's seed.
Digits some_digits(const Material& material, int64_t count);

/// A small classifier of digits, 16-`units`-10: few enough weights that every matrix can be written
/// down.
struct Classifier {
  Digits digits;
  Network network;

  Classifier(const Material& material, int64_t count, int64_t units = 8, uint64_t variant = 0);

  torch::Tensor outputs() const { return network(digits.coarse); }
  /// The mean cross-entropy, on a new graph.
  torch::Tensor loss() const { return loss(outputs(), digits.labels); }
  torch::Tensor loss_at(const torch::Tensor& theta) const {
    return loss(network.at(theta, digits.coarse), digits.labels);
  }
  static torch::Tensor loss(const torch::Tensor& z, const torch::Tensor& labels);
  natgrad::LossGraph graph() const { return {loss(), network.parameters()}; }
  /// Of one digit alone.
  torch::Tensor loss_of(int64_t example) const;
};

/// A regression on the digits: the lower half of an image, 8 coarse pixels, from the upper half.
struct Completion {
  torch::Tensor x, y;  ///< [N, 8]
  explicit Completion(const Digits& digits);
};

/// Bliss's beetles (1935; McCullagh & Nelder, "Generalized Linear Models", section 4.3): eight
/// doses of carbon disulphide, by their log10, how many beetles took each, and how many were
/// killed.
struct Beetles {
  torch::Tensor dose, count, killed;  ///< [8]
  Beetles();
  /// q(x): how often each dose was given.
  torch::Tensor weights() const { return count / count.sum(); }
  /// q(y = 1|x).
  torch::Tensor share() const { return killed / count; }
  /// z = θ₀ + θ₁ x, [8], for θ of [2].
  torch::Tensor logits(const torch::Tensor& theta) const { return theta[0] + theta[1] * dose; }
  /// Logistic regression: E over q(x) and q(y|x) of -log p(y|x, θ).
  torch::Tensor loss(const torch::Tensor& theta) const;
  /// Near the minimum, where nothing overflows; a leaf.
  static torch::Tensor start();
};

/// θ ← θ - ε (F + λI)⁻¹∇h (P §9, eq. 6, with Tikhonov's damping), by conjugate gradients to
/// rounding.
natgrad::NaturalGradientOptions plain_natural_gradient(double rate, double lambda = 0);
/// The solver of these.
natgrad::ConjugateGradient tight_solver();

/// Seeded standard normal numbers in double.
torch::Tensor normal(at::IntArrayRef shape, uint64_t seed);
/// A leaf with them, times `scale`.
torch::Tensor parameter(at::IntArrayRef shape, uint64_t seed, double scale = 1);

}  // namespace examples::theory
