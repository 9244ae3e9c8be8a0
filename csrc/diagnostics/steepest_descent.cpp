#include <fmt/format.h>
#include <natgrad/diagnostics/steepest_descent.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "diagnostics/divergence_gradient.h"
#include "diagnostics/metric_weights.h"
#include "diagnostics/probed_model.h"
#include "graph/loss_graph_state.h"

namespace natgrad {

using torch::Tensor;

namespace {

// Beyond this condition F counts as singular, and λ is so much of its largest eigenvalue.
constexpr double kSingular = 1e7, kShareOfLargest = 1e-3;
// A step in the norm of F, relative to d, at which the argmin is found; a contraction by O(ε) each
// time reaches it soon, and rounding may end it above.
constexpr double kFound = 1e-12, kFoundRoughly = 1e-6;
constexpr int64_t kMostIterations = 60;
constexpr double kLeastErrorOrder = 0.9;
// Where the error is of its leading order; and how many ε it may take to come there, the last of
// which is still far above rounding.
constexpr double kNearLimit = 0.03;
constexpr int64_t kMostSteps = 20;

/// F + λI in double, and the norms that go with it.
struct FactoredMetric {
  Tensor matrix, cholesky;
  double lambda = 0, condition = 0;

  FactoredMetric(const Tensor& F, std::optional<double> asked) {
    const auto eigenvalues = torch::linalg_eigvalsh(0.5 * (F + F.t()));
    const double least = eigenvalues[0].item<double>(), most = eigenvalues[-1].item<double>();
    const bool is_singular = !(least * kSingular > most);
    lambda = asked ? *asked : is_singular ? kShareOfLargest * most : 0;
    condition = (most + lambda) / (least + lambda);
    matrix = F + lambda * torch::eye(F.size(0), F.options());
    const auto [factor, info] = torch::linalg_cholesky_ex(matrix);
    TORCH_CHECK_VALUE(info.item<int64_t>() == 0 && most > 0,
                      "natgrad: steepest descent under KL needs a positive definite F + λI, but F "
                      "has eigenvalues from ",
                      least, " to ", most, " and λ = ", lambda, ". Take a larger lambda.");
    cholesky = factor;
  }

  Tensor solve(const Tensor& b) const {
    return torch::cholesky_solve(b.unsqueeze(1), cholesky).squeeze(1);
  }
  double norm(const Tensor& d) const { return std::sqrt(d.dot(matrix.mv(d)).item<double>()); }
};

/// What is seen at θ + d; the divergence with λ's term.
struct Seen {
  double divergence = 0;
  Tensor gradient, slope;  // ∇h, and that of the divergence
};

class DescentProblem {
 public:
  DescentProblem(ProbedModel& model, const FactoredMetric& F, FisherWeights weights, bool reverse)
      : model_(model), F_(F), weights_(weights), reverse_(reverse) {}

  SteepestDescentReport::Step minimise(double epsilon, const Tensor& start) const;

 private:
  std::optional<Seen> see(const Tensor& d) const {
    std::optional<Seen> seen;
    model_.at(d, [&](const LossGraph& moved) {
      const auto there = d.to(moved.parameters().options());
      const auto kl = divergence_gradient(model_.graph(), moved, there, weights_, reverse_);
      seen = {kl.value + 0.5 * F_.lambda * d.dot(d).item<double>(),
              moved.gradient().detach().to(torch::kDouble),
              kl.gradient.to(torch::kDouble) + F_.lambda * d};
    });
    return seen;
  }

  ProbedModel& model_;
  const FactoredMetric& F_;
  FisherWeights weights_;
  bool reverse_;
};

// Newton's method for ∇KL + ν∇h = 0 and KL = ε², with F for the Hessian of KL and none for that of
// νh, which is smaller by ε: d ← d - F⁻¹∇KL - ν F⁻¹∇h, ν from the constraint to second order.
SteepestDescentReport::Step DescentProblem::minimise(double epsilon, const Tensor& start) const {
  SteepestDescentReport::Step step{epsilon, start, 0, 0, 0, 0, false};
  auto& d = step.minimiser;
  double size = std::numeric_limits<double>::infinity();
  while (step.iterations < kMostIterations) {
    const auto seen = see(d);
    if (!seen) return step;
    ++step.iterations;
    const auto a = F_.solve(seen->slope), b = F_.solve(seen->gradient);
    const double kk = seen->slope.dot(a).item<double>();
    const double gg = seen->gradient.dot(b).item<double>();
    const double room = epsilon * epsilon - seen->divergence + 0.5 * kk;
    step.divergence = seen->divergence / (epsilon * epsilon);
    const double kg = seen->slope.dot(b).item<double>();
    step.stationarity = F_.norm(b - gg / kg * a) / std::sqrt(gg);
    if (!(room > 0) || !(gg > 0)) return step;
    const Tensor change = -a - std::sqrt(2 * room / gg) * b;
    const double next = F_.norm(change) / F_.norm(d);
    step.converged = next <= kFoundRoughly && kg < 0;
    if (next <= kFound || !(next < 2 * size) || (step.converged && next >= size)) return step;
    size = next;
    d = d + change;
  }
  return step;
}

/// -√2 C⁻¹g/‖g‖_{C⁻¹}.
Tensor steepest(const Tensor& C, const Tensor& g) {
  const auto n = torch::linalg_solve(C, g.unsqueeze(1)).squeeze(1);
  return -std::numbers::sqrt2 / std::sqrt(g.dot(n).item<double>()) * n;
}

}  // namespace

void SteepestDescentOptions::check() const {
  TORCH_CHECK_VALUE(largest_ > 0 && std::isfinite(largest_),
                    "natgrad: steepest_descent's largest ε is a finite number > 0, but is ",
                    largest_, ".");
  TORCH_CHECK_VALUE(halvings_ >= 1 && halvings_ < kMostSteps,
                    "natgrad: steepest_descent halves ε 1 to ", kMostSteps - 1,
                    " times, but was asked for ", halvings_, ".");
  TORCH_CHECK_VALUE(!lambda_ || (*lambda_ >= 0 && std::isfinite(*lambda_)),
                    "natgrad: steepest_descent's lambda is a finite number >= 0, but is ",
                    lambda_.value_or(0), ".");
}

SteepestDescentReport steepest_descent(const std::vector<Tensor>& parameters,
                                       const std::function<Tensor()>& loss, const Curvature& metric,
                                       const SteepestDescentOptions& options) {
  options.check();
  ProbedModel model(parameters, loss);
  const auto& graph = model.graph();
  const auto P = graph.parameters().size();
  TORCH_CHECK_VALUE(P <= options.limit(), "natgrad: steepest_descent forms F, and ", P,
                    " parameters are more than its limit of ", options.limit(),
                    ". Give it fewer of them, or a larger limit.");
  const auto weights = divergence_weights_of(metric);
  const auto matrix = [](const LinearOperator& C) { return dense(C).to(torch::kDouble); };
  const FactoredMetric F(matrix(fisher(graph, weights)), options.lambda());
  const auto g = graph.gradient().detach().to(torch::kDouble);
  TORCH_CHECK_VALUE(g.norm().item<double>() > 0,
                    "natgrad: ∇h is zero: no direction is down. Evaluate away from the minimum.");

  SteepestDescentReport report;
  report.metric = metric.describe();
  report.lambda = F.lambda;
  report.condition = F.condition;
  const auto eye = F.lambda * torch::eye(P, F.matrix.options());
  report.limit = steepest(matrix(metric.at(graph).matrix) + eye, g);
  const auto start = steepest(F.matrix, g);
  const DescentProblem problem(model, F, weights, options.reverse());
  double epsilon = options.largest();
  for (int64_t k = 0, found = 0; k < kMostSteps; ++k, epsilon /= 2) {
    auto step = problem.minimise(epsilon, epsilon * start);
    step.error = F.norm(step.minimiser / epsilon - report.limit) / F.norm(report.limit);
    report.steps.push_back(step);
    found = step.converged ? found + 1 : 0;
    if (found > options.halvings() && step.error <= kNearLimit) break;
  }
  const auto &last = report.steps.back(), &before = report.steps[report.steps.size() - 2];
  report.order = std::log2(before.error / last.error);
  report.holds = last.converged && before.converged && report.order >= kLeastErrorOrder;
  return report;
}

std::string SteepestDescentReport::message() const {
  auto text = fmt::format(
      "steepest descent under KL against -√2 F⁻¹∇h/‖∇h‖, F = {}: {} (the error is of order {:.3f} "
      "in ε)\n",
      metric, holds ? "holds" : "does not hold", order);
  if (lambda > 0) {
    text += fmt::format("  with ½λ‖d‖², λ = {:.3g}, added to KL, and λI to F; condition {:.3g}\n",
                        lambda, condition);
  }
  text += "  ε           ‖d*/ε - limit‖  KL/ε²       stationarity\n";
  for (const auto& step : steps) {
    text +=
        fmt::format("  {:<10.4g}  {:<14.6g}  {:<10.6g}  {:<10.2g}{}\n", step.epsilon, step.error,
                    step.divergence, step.stationarity, step.converged ? "" : "  not found");
  }
  return text;
}

}  // namespace natgrad
