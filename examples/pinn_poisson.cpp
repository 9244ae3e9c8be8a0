// Poisson's equation -Δu = f solved by a network, to many digits: on the unit square, or in the
// five-dimensional cube (Müller & Zeinhofer 2023, "Achieving high accuracy with PINNs via energy
// natural gradients"). The residuals at points inside and on the boundary are squared errors, which
// natgrad::presets::least_squares() makes small; beside it L-BFGS and Adam in the same seconds.
// `--help` lists the options.

#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <numbers>

#include "support/command_line.h"
#include "support/physics.h"

using std::numbers::pi;
using torch::Tensor;

namespace {

Tensor laplacian(const Tensor& u, const Tensor& x) {
  const auto slope = examples::derivative(u, x);
  auto sum = torch::zeros_like(u);
  for (int64_t i = 0; i < x.size(1); ++i) sum = sum + examples::second_derivative(slope, x, i);
  return sum;
}

/// u = sin πx₁ sin πx₂ is zero on the square's boundary, and -Δu = 2π² u.
examples::Equation on_the_square() {
  const auto side = torch::linspace(0, 1, 30, torch::kDouble);
  const auto zero = torch::zeros_like(side), one = torch::ones_like(side);
  const auto solution = [](const Tensor& x) { return (pi * x).sin().prod(1); };
  const auto inside = (29 * examples::grid(30) + 0.5) / 30;  // off the boundary
  const auto f = 2 * pi * pi * solution(inside);
  return {.title = "-Δu = 2π² sin πx₁ sin πx₂ on the unit square",
          .axes = {"x₁", "x₂"},
          .units = 32,
          .interior = inside,
          .boundary = torch::cat({torch::stack({side, zero}, 1), torch::stack({side, one}, 1),
                                  torch::stack({zero, side}, 1), torch::stack({one, side}, 1)}),
          .held_out = examples::grid(101),
          .residual = [f](const Tensor& u, const Tensor& x) { return laplacian(u, x) + f; },
          .solution = solution};
}

/// Points on the faces of the cube, as many on each.
Tensor points_on_faces(int64_t count, int64_t dimensions) {
  const auto x = torch::rand({count, dimensions}, torch::kDouble);
  const auto number = torch::arange(count);
  const auto axis = number.remainder(dimensions).unsqueeze(1);
  const auto end = number.div(dimensions, "floor").remainder(2).unsqueeze(1);
  return x.scatter(1, axis, end.to(torch::kDouble));
}

/// u = Σ cos πxᵢ, and -Δu = π² u.
examples::Equation in_the_cube() {
  const auto solution = [](const Tensor& x) { return (pi * x).cos().sum(1); };
  const auto inside = torch::rand({3000, 5}, torch::kDouble);
  const auto f = pi * pi * solution(inside);
  return {.title = "-Δu = π² Σ cos πxᵢ in the cube of five dimensions",
          .axes = {"x₁", "x₂"},
          .units = 64,
          .interior = inside,
          .boundary = points_on_faces(500, 5),
          .held_out = torch::rand({5000, 5}, torch::kDouble),
          .residual = [f](const Tensor& u, const Tensor& x) { return laplacian(u, x) + f; },
          .solution = solution};
}

}  // namespace

int main(int argc, char** argv) {
  examples::PhysicsOptions options;
  options.output = "pinn_poisson";
  int64_t dimensions = 2;
  CLI::App app("Solves Poisson's equation by a network, to many digits.", "pinn_poisson");
  app.option_defaults()->always_capture_default();
  app.add_option("--dimensions", dimensions)->check(CLI::IsMember({2, 5}))->type_name("N");
  examples::add_physics_options(app, options);
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("pinn_poisson", [&] {
    examples::solve_by_network(options, dimensions == 2 ? on_the_square : in_the_cube);
  });
}
