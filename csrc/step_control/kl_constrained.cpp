#include <fmt/format.h>
#include <natgrad/solvers/kl_constrained_step.h>
#include <natgrad/step_control/kl_constrained.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

using torch::Tensor;

namespace {

/// Whether gᵀx < 0, whatever the sizes, or one of them is 0; not where one is not finite.
bool descends(const Tensor& x, const Tensor& g) {
  const auto in_double = [](const Tensor& v) { return v.to(torch::kDouble); };
  const auto largest = [](const Tensor& v) {
    return torch::linalg_vector_norm(v, HUGE_VAL).item<double>();
  };
  const double x_size = largest(x), g_size = largest(g);
  if (x_size == 0 || g_size == 0) return std::isfinite(x_size + g_size);
  return (in_double(x) / x_size).dot(in_double(g) / g_size).item<double>() < 0;
}

}  // namespace

KLConstrained::KLConstrained(double c) : c_(c) {
  TORCH_CHECK(c > 0 && std::isfinite(c),
              "natgrad: KLConstrained's divergence c is a finite number of nats > 0, but is ", c,
              ".");
}

Step KLConstrained::choose(const StepProblem& problem) {
  const auto& x = problem.solution.x;
  if (!descends(x, problem.gradient)) {
    const auto none = torch::zeros_like(x);
    return {.displacement = none, .kept = none, .found = false};
  }
  return {problem.at_rate(kl_constrained_step(-x, problem.gradient, c_)), x};
}

std::string KLConstrained::describe() const { return fmt::format("KLConstrained({})", c_); }

std::unique_ptr<StepRule> KLConstrained::clone() const {
  return std::make_unique<KLConstrained>(*this);
}

}  // namespace natgrad
