#pragma once

// A network of one layer of tanh units whose seed draws other weights, inputs and targets: for
// claims about most networks, and about examples one by one. With it, what theory's tests ask the
// library for.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>

#include <vector>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing {

struct SmallNetwork {
  static constexpr int64_t kInputs = 2, kUnits = 3;

  SmallNetwork(uint64_t seed, int64_t examples, int64_t outputs)
      : x(randn({examples, kInputs}, 16 * seed)),
        labels(torch::randint(outputs, {examples}, seeded(16 * seed + 1),
                              torch::TensorOptions(torch::kLong))),
        targets(randn({examples, outputs}, 16 * seed + 2)),
        parameters({parameter({kUnits, kInputs}, 16 * seed + 3), parameter({kUnits}, 16 * seed + 4),
                    parameter({outputs, kUnits}, 16 * seed + 5),
                    parameter({outputs}, 16 * seed + 6)}) {}

  /// z, [N, outputs], of these inputs at these parameters.
  static Tensor forward(const std::vector<Tensor>& theta, const Tensor& x) {
    return torch::linear(torch::linear(x, theta[0], theta[1]).tanh(), theta[2], theta[3]);
  }
  Tensor forward() const { return forward(parameters, x); }

  /// A flat θ, [P], cut into the network's parameters.
  std::vector<Tensor> pieces(const Tensor& theta) const {
    std::vector<Tensor> result;
    int64_t offset = 0;
    for (const auto& p : parameters) {
      result.push_back(theta.narrow(0, offset, p.numel()).view(p.sizes()));
      offset += p.numel();
    }
    return result;
  }
  /// θ, [P].
  Tensor theta() const { return flat(parameters).detach(); }
  /// z at another θ.
  Tensor forward_at(const Tensor& theta) const { return forward(pieces(theta), x); }

  Tensor x, labels, targets;
  std::vector<Tensor> parameters;
};

inline Tensor fisher_of(const Tensor& loss, const std::vector<Tensor>& parameters) {
  return dense(fisher(LossGraph(loss, parameters)));
}

inline Tensor gauss_newton_of(const Tensor& loss, const std::vector<Tensor>& parameters) {
  return dense(gauss_newton(LossGraph(loss, parameters)));
}

inline double number(const Tensor& t) { return t.item<double>(); }

/// Martens' eq. 6, θ ← θ - ε F⁻¹∇h, by conjugate gradients to rounding.
inline NaturalGradientOptions plain_natural_gradient(double rate, double lambda = 0) {
  return NaturalGradientOptions(rate).damping(Tikhonov(lambda)).solver(tight_solver());
}

/// Softmax's F_R at each row of p, block by block: diag(p) - p pᵀ, [N K, N K].
inline Tensor softmax_metric(const Tensor& p) {
  std::vector<Tensor> blocks;
  for (const auto& row : p.detach().unbind(0)) {
    blocks.push_back(torch::diag(row) - row.outer(row));
  }
  return block_diagonal(blocks);
}

inline double smallest_eigenvalue(const Tensor& symmetric) {
  return torch::linalg_eigvalsh(0.5 * (symmetric + symmetric.t()))[0].item<double>();
}

/// log(a/b)/log 2: the order of an error that went from a to b as ε was halved.
inline double order(double a, double b) { return std::log2(a / b); }

}  // namespace natgrad::testing
