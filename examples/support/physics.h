#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace examples {

/// ∂u/∂x by autograd, to be differentiated again: of u, one number at each of N points, [N, d].
torch::Tensor derivative(const torch::Tensor& u, const torch::Tensor& x);
/// ∂²u/∂xᵢ², [N], from `slope` = ∂u/∂x.
torch::Tensor second_derivative(const torch::Tensor& slope, const torch::Tensor& x, int64_t i);

/// A differential equation with values at a boundary, and its solution, to tell the error by. All
/// in double.
struct Equation {
  std::string title;
  std::vector<std::string> axes;  ///< what the first two coordinates are called
  int64_t units = 32;             ///< of the network's one hidden layer
  torch::Tensor interior;         ///< [N, d]
  torch::Tensor boundary;         ///< [M, d], where u is that of the solution
  torch::Tensor held_out;         ///< points at which the error is told
  /// [N], zero where u solves it: of u at the points x, [N], which depend on x through autograd.
  std::function<torch::Tensor(const torch::Tensor& u, const torch::Tensor& x)> residual;
  std::function<torch::Tensor(const torch::Tensor& x)> solution;  ///< [N]
};

/// The points of a grid on the unit square, n on a side: [n², 2].
torch::Tensor grid(int64_t n);

struct PhysicsOptions {
  double seconds = 20;
  int64_t steps = 0, seeds = 1;
  uint64_t seed = 0;
  int threads = 1;
  std::string output;
  bool resume = false;
};
void add_physics_options(CLI::App& app, PhysicsOptions& options);

/// Trains a network d-units-1 with tanh,
///
///     h = mean of residual² inside + mean of (u - solution)² on the boundary,
///
/// by `presets::least_squares()`, and from the same start in as many seconds by Adam at three rates
/// and L-BFGS; prints their relative errors ‖u - solution‖/‖solution‖, and draws them. `make`
/// answers the equation, with points drawn after LibTorch's generator is seeded.
void solve_by_network(const PhysicsOptions& options, const std::function<Equation()>& make);

}  // namespace examples
