// What a user of the installed library can add from outside, one part of each kind, written with
// the public headers alone: a likelihood, a curvature, a solver, a damping, a preconditioner and a
// step rule. Each is trained with; the program ends with 1 if one of them does not do its part.

#include <natgrad/curvatures.h>
#include <natgrad/likelihoods.h>
#include <natgrad/natgrad.h>
#include <natgrad/operators.h>
#include <torch/torch.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

namespace {

using torch::Tensor;

/// Rayleigh: y > 0 with log-scale z, log r = log y - 2z - y²e^{-2z}/2; F_R = 4.
class Rayleigh final : public natgrad::Likelihood {
 public:
  explicit Rayleigh(Tensor z) : Likelihood(std::move(z)) {}
  std::string describe() const override { return "Rayleigh()"; }
  Tensor fisher_multiply(const Tensor& v) const override { return 4 * v; }
  Tensor factor_multiply(const Tensor& r) const override { return 2 * r; }
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const Tensor& y) const override {
    check_same_shape(y);
    natgrad::check_support(y, y.gt(0), "a Rayleigh target is positive");
  }
  Tensor sample(std::optional<at::Generator> generator) const override {
    const auto u = torch::empty_like(outputs()).exponential_(1, std::move(generator));
    return (2 * u).sqrt() * outputs().detach().exp();
  }

 private:
  Tensor compute_log_prob(const Tensor& y) const override {
    return y.log() - 2 * outputs() - 0.5 * (y * torch::exp(-outputs())).square();
  }
  Tensor compute_score(const Tensor& y) const override {
    return (y * torch::exp(-outputs())).square() - 2;
  }
};

/// c I, whatever the loss.
class ScaledIdentity final : public natgrad::Curvature {
 public:
  explicit ScaledIdentity(double c) : c_(c) {}
  natgrad::CurvatureAt at(const natgrad::LossGraph& graph) const override {
    const auto& parameters = graph.parameters();
    return {graph,
            {"scaled identity", parameters.size(), parameters.options(),
             [c = c_](const Tensor& v) { return c * v; }}};
  }
  bool needs_terms() const override { return false; }
  std::string describe() const override { return "ScaledIdentity(" + std::to_string(c_) + ")"; }
  std::shared_ptr<const Curvature> clone() const override {
    return std::make_shared<ScaledIdentity>(*this);
  }

 private:
  double c_;
};

/// Steepest descent with exact steps, for well-conditioned systems.
class SteepestDescent final : public natgrad::Solver {
 public:
  natgrad::Solution solve(const natgrad::LinearSystem& system) const override {
    const auto& b = system.right_hand_side;
    natgrad::Solution solution{torch::zeros_like(b), {}};
    Tensor residual = b.clone();
    for (int k = 0; k < 50; ++k) {
      const auto product = system.matrix.multiply(residual);
      const double curvature = residual.dot(product).item<double>();
      if (curvature <= 0) break;
      const double step = residual.dot(residual).item<double>() / curvature;
      solution.x.add_(residual, step);
      residual.sub_(product, step);
      ++solution.summary.iterations;
    }
    solution.summary.residual = residual.norm().item<double>();
    solution.summary.right_hand_side = b.norm().item<double>();
    return solution;
  }
  std::string describe() const override { return "SteepestDescent()"; }
  std::shared_ptr<const Solver> clone() const override {
    return std::make_shared<SteepestDescent>(*this);
  }
};

/// λ = λ₀/t.
class FadingDamping final : public natgrad::Damping {
 public:
  explicit FadingDamping(double first) : first_(first) {}
  double lambda() const override { return first_ / (1 + steps_); }
  void accepted() override { ++steps_; }
  std::vector<double> state() const override { return {steps_}; }
  void set_state(const std::vector<double>& state) override { steps_ = state.at(0); }
  std::string describe() const override { return "FadingDamping(" + std::to_string(first_) + ")"; }
  std::unique_ptr<Damping> clone() const override { return std::make_unique<FadingDamping>(*this); }

 private:
  double first_, steps_ = 0;
};

/// I/(1 + λ).
class Shrink final : public natgrad::Preconditioner {
 public:
  natgrad::LinearOperator at(const natgrad::LossGraph& graph, double lambda) const override {
    const auto& parameters = graph.parameters();
    return {"shrink", parameters.size(), parameters.options(),
            [lambda](const Tensor& v) { return v / (1 + lambda); }};
  }
  std::string describe() const override { return "Shrink()"; }
  std::unique_ptr<Preconditioner> clone() const override { return std::make_unique<Shrink>(*this); }
};

/// The solution at its rate, no longer than a bound.
class Clipped final : public natgrad::StepRule {
 public:
  explicit Clipped(double longest) : longest_(longest) {}
  natgrad::Step choose(const natgrad::StepProblem& problem) override {
    const auto& delta = problem.solution.x;
    const auto d = problem.at_rate(delta);
    const double length = d.norm().item<double>();
    return {length > longest_ ? d * (longest_ / length) : d, delta};
  }
  std::string describe() const override { return "Clipped(" + std::to_string(longest_) + ")"; }
  std::unique_ptr<StepRule> clone() const override { return std::make_unique<Clipped>(*this); }

 private:
  double longest_;
};

/// Whether 30 steps on Rayleigh targets lower the loss below `share` of its way to the optimum.
bool trains(const char* name, natgrad::NaturalGradientOptions options) {
  torch::manual_seed(1);
  const auto x = torch::rand({200, 1}, torch::kDouble);
  torch::nn::Linear model(1, 1);
  model->to(torch::kDouble);
  const auto y = Rayleigh(0.5 + x).sample(std::nullopt);
  const auto loss = [&] { return natgrad::nll(Rayleigh(model->forward(x)), y); };
  const double optimum = natgrad::nll(Rayleigh(0.5 + x), y).item<double>();
  const double start = loss().item<double>();
  natgrad::NaturalGradient optimizer(model->parameters(), std::move(options));
  for (int k = 0; k < 30; ++k) optimizer.step(loss());
  const double end = loss().item<double>();
  const bool fell = end < optimum + 0.05 * (start - optimum);
  std::printf("%-16s %.4f -> %.4f (the truth: %.4f)%s\n", name, start, end, optimum,
              fell ? "" : "  NOT TRAINED");
  return fell;
}

}  // namespace

int main() {
  using Options = natgrad::NaturalGradientOptions;
  const auto damped = [](double lr) { return Options(lr).damping(natgrad::Tikhonov(1e-3)); };
  bool all = trains("likelihood", Options());
  all &= trains("curvature", damped(0.5).curvature(ScaledIdentity(4)));
  all &= trains("solver", damped(0.5).solver(SteepestDescent()));
  all &= trains("damping", Options(0.5).damping(FadingDamping(0.1)));
  all &= trains("preconditioner",
                damped(0.5).solver(natgrad::ConjugateGradient()).preconditioner(Shrink()));
  all &= trains("step rule", damped(1).step_rule(Clipped(0.5)));
  return all ? 0 : 1;
}
