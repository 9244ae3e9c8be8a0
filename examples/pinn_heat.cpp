// The heat equation u_t = ¼ u_xx solved by a network, to many digits: a rod whose ends are kept
// cold, u(t, 0) = u(t, 1) = 0, that starts as u(0, x) = sin πx. The residuals at points in time and
// space are squared errors, which natgrad::presets::least_squares() makes small; beside it L-BFGS
// and Adam in the same seconds. `--help` lists the options.

#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <numbers>

#include "support/command_line.h"
#include "support/physics.h"

using std::numbers::pi;
using torch::Tensor;

namespace {

constexpr double kConductivity = 0.25;

/// u = exp(-¼π²t) sin πx.
Tensor solution(const Tensor& tx) {
  const auto t = tx.select(1, 0), x = tx.select(1, 1);
  return (-kConductivity * pi * pi * t).exp() * (pi * x).sin();
}

Tensor residual(const Tensor& u, const Tensor& tx) {
  const auto slope = examples::derivative(u, tx);
  const auto u_t = slope.select(1, 0), u_xx = examples::second_derivative(slope, tx, 1);
  return u_t - kConductivity * u_xx;
}

/// Points (t, x): inside, and of the start and either end of the rod as many.
examples::Equation heat() {
  const auto s = torch::rand({30}, torch::kDouble);
  const auto zero = torch::zeros_like(s), one = torch::ones_like(s);
  return {.title = "u_t = ¼ u_xx from sin πx, with cold ends",
          .axes = {"t", "x"},
          .units = 64,
          .interior = torch::rand({900, 2}, torch::kDouble),
          .boundary = torch::cat(
              {torch::stack({zero, s}, 1), torch::stack({s, zero}, 1), torch::stack({s, one}, 1)}),
          .held_out = examples::grid(101),
          .residual = residual,
          .solution = solution};
}

}  // namespace

int main(int argc, char** argv) {
  examples::PhysicsOptions options;
  options.output = "pinn_heat";
  CLI::App app("Solves the heat equation by a network, to many digits.", "pinn_heat");
  app.option_defaults()->always_capture_default();
  examples::add_physics_options(app, options);
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("pinn_heat", [&] { examples::solve_by_network(options, heat); });
}
