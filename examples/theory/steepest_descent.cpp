// P §6, and the note: the natural gradient as the direction of steepest descent, in a metric, among
// distributions, and as a step of given divergence.

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/diagnostics/kl_moved.h>
#include <natgrad/diagnostics/steepest_descent.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/solvers/kl_constrained_step.h>
#include <natgrad/step_control/kl_constrained.h>
#include <torch/torch.h>

#include <numbers>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace steepest_descent_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- Steepest descent. ----

/// Logistic regression on the beetles with the dose centred: two weights.
struct CentredBeetles {
  Beetles beetles;
  Tensor theta = torch::tensor({0.4, 15.}, torch::kDouble).requires_grad_();
  Tensor logits(const Tensor& t) const { return t[0] + t[1] * (beetles.dose - 1.8); }
  Tensor loss_at(const Tensor& t) const {
    return (beetles.weights() *
            natgrad::nll(natgrad::Bernoulli(logits(t)), beetles.share(), at::Reduction::None))
        .sum();
  }
  Tensor loss() const { return loss_at(theta); }
};

/// argmin of h(θ + d) over dᵀAd ≤ ε², on the ellipse, by its angle.
Tensor on_ellipse(const CentredBeetles& problem, const Tensor& A, double eps) {
  const auto root = torch::linalg_cholesky(A).t().inverse();  // d = root·unit·ε has dᵀAd = ε²
  double centre = 0, width = std::numbers::pi;
  Tensor best;
  for (int zoom = 0; zoom < 10; ++zoom, width /= 6) {
    double lowest = std::numeric_limits<double>::infinity(), at = centre;
    for (int k = -12; k <= 12; ++k) {
      const double angle = centre + width * k / 12;
      const auto d =
          eps * root.mv(torch::tensor({std::cos(angle), std::sin(angle)}, torch::kDouble));
      const double h = number(problem.loss_at(problem.theta.detach() + d));
      if (h < lowest) lowest = h, at = angle, best = d;
    }
    centre = at;
  }
  return best;
}

void in_a_metric(Findings& findings) {
  const CentredBeetles problem;
  const LossGraph graph(problem.loss(), {problem.theta});
  const auto& g = graph.gradient();
  struct Metric {
    std::string name;
    Tensor A;
  };
  const std::vector<Metric> metrics = {
      {"Euclid's, A = I", torch::eye(2, torch::kDouble)},
      {"another A", torch::tensor({{2., -0.5}, {-0.5, 0.4}}, torch::kDouble)}};
  double worst_order = 9;
  Chart chart("Steepest descent in a metric, on its way to the limit", "step ε",
              "distance to the limit, relative");
  for (const auto& [name, A] : metrics) {
    const auto solved = tight_solver().solve(natgrad::from_dense(A), g).x;
    const auto limit = -solved / g.dot(solved).sqrt();
    std::vector<double> eps, errors;
    for (double e = 0.8; e > 0.02; e /= 2) {
      eps.push_back(e);
      errors.push_back(relative_error(on_ellipse(problem, A, e) / e, limit));
    }
    chart.line(name, eps, errors);
    worst_order = smaller(worst_order, order(errors[errors.size() - 2], errors.back()));
  }
  findings.chart(chart.log_x().log_y(),
                 "Logistic regression on the beetles, two weights; the minimiser on each ellipse "
                 "by search over its angle.");
  findings
      .claim("steepest-in-metric",
             "The direction of steepest descent depends on the metric: −A<sup>−1</sup>∇h, "
             "and −∇h for Euclid's.")
      .formula(
          "<sup>−A<sup>−1</sup>∇h</sup>⁄<sub>‖∇h‖<sub>A<sup>−1</sup></sub></sub> = "
          "lim<sub>ε→0</sub> "
          "<sup>1</sup>⁄<sub>ε</sub> argmin<sub>‖d‖<sub>A</sub> ≤ ε</sub> h(θ + d)")
      .source("P §6, B")
      .rows({17, 52})
      .by("<code>ConjugateGradient</code>, <code>LossGraph::gradient</code>; <code>Metric</code> "
          "in the "
          "optimizer")
      .care(
          "B prints x = G<sup>−1</sup>∇L/‖∇L‖<sub>G</sub>: the descent direction has a minus, the "
          "norm "
          "is that of G<sup>−1</sup>, and has a root.")
      .measured("smallest order in ε of the distance, two metrics", worst_order)
      .near(1, 0.2, "the smallest two ε");
}

void among_distributions(Findings& findings) {
  const CentredBeetles problem;
  const auto look = [&](const natgrad::Curvature& metric, bool reverse) {
    return natgrad::steepest_descent(
        {problem.theta}, [&] { return problem.loss(); }, metric,
        natgrad::SteepestDescentOptions().reverse(reverse));
  };
  const auto forward = look(natgrad::Fisher(), false), reverse = look(natgrad::Fisher(), true);
  const auto curve = [](const natgrad::SteepestDescentReport& report) {
    std::pair<std::vector<double>, std::vector<double>> points;
    for (const auto& step : report.steps) {
      points.first.push_back(step.epsilon);
      points.second.push_back(step.error);
    }
    return points;
  };
  const auto of_forward = curve(forward), of_reverse = curve(reverse);
  findings.chart(
      Chart("Steepest descent among distributions, on its way to the natural gradient",
            "ε, the root of the nats", "distance to the limit, relative, in the norm of F")
          .line("KL(θ + d ‖ θ) ≤ ε²", of_forward.first, of_forward.second)
          .line("KL(θ ‖ θ + d) ≤ ε²", of_reverse.first, of_reverse.second)
          .log_x()
          .log_y(),
      "Logistic regression on the beetles; the minimiser by sequential quadratic programming on h "
      "and KL themselves.");
  const char* const by = "<code>steepest_descent(parameters, loss)</code>";
  findings
      .claim("steepest-among-distributions",
             "The negative natural gradient is the direction of steepest descent in the space of "
             "distributions, where distance is measured by the KL divergence.")
      .formula(
          "−√2 <sup>∇̃h</sup>⁄<sub>‖∇h‖<sub>F<sup>−1</sup></sub></sub> = lim<sub>ε→0</sub> "
          "<sup>1</sup>⁄<sub>ε</sub> argmin<sub>KL(P(θ+d) ‖ P(θ)) ≤ ε<sup>2</sup></sub> h(θ + d)")
      .source("P §6, Arnold et al. (2011)")
      .rows({19})
      .by(by)
      .measured("order in ε of the distance", forward.order)
      .near(1, 0.1, "the smallest two ε");
  findings
      .claim("steepest-either-way",
             "Steepest descent is the same with the divergence the other way round.")
      .source("P §6")
      .rows({19, 21})
      .by(by)
      .measured("order in ε of the distance", reverse.order)
      .near(1, 0.1, "the smallest two ε");
  findings
      .claim("steepest-distance",
             "At small ε steepest descent and natural gradient are one direction.")
      .source("P §6")
      .rows({19})
      .by(by)
      .measured("larger of the two distances at the smallest ε",
                larger(of_forward.second.back(), of_reverse.second.back()))
      .at_most(0.02, "O(ε)");
}

// ---- Steps of a given divergence. ----

void given_divergence(Findings& findings) {
  const CentredBeetles problem;
  const LossGraph before(problem.loss(), {problem.theta});
  const auto natural = tight_solver().solve(natgrad::fisher(before), before.gradient()).x;
  std::vector<double> cs, excess;
  for (const double c : {1e-2, 1e-4, 1e-6}) {
    const auto delta = natgrad::kl_constrained_step(natural, before.gradient(), c);
    const auto moved = (problem.theta.detach() + delta).requires_grad_();
    const auto nats = natgrad::kl_moved(before, LossGraph(problem.loss_at(moved), {moved}),
                                        natgrad::FisherWeights::OfTheLoss);
    cs.push_back(c);
    excess.push_back(std::abs(nats.before_after / c - 1));
  }
  findings.claim("kl-constrained", "The note's step: the least loss at a given divergence c.")
      .formula("δ = −√(2c/∇h<sup>⊤</sup>F<sup>−1</sup>∇h) F<sup>−1</sup>∇h: &nbsp; KL/c → 1")
      .source("N, P §6")
      .rows({20})
      .by("<code>kl_constrained_step</code>, <code>KLConstrained(c)</code>, <code>kl_moved</code>")
      .care(
          "The note's update has lost the ∇ before its loss; and its argmin is a descent step "
          "already, "
          "which is to be added.")
      .measured("order in c of |KL/c − 1|, c from 10<sup>−2</sup> to 10<sup>−6</sup>",
                slope(cs, excess))
      .near(0.5, 0.1, "O(√c)");
  const auto step = natgrad::kl_constrained_step(natural, before.gradient(), 1e-3);
  const double h = number(problem.loss());
  findings.claim("note-as-printed", "The note subtracts its argmin from θ, to lower the loss.")
      .formula("θ ← θ − α argmin<sub>d: KL = c</sub> L(θ + d)")
      .source("N")
      .rows({20})
      .by("<code>kl_constrained_step</code>")
      .as_printed()
      .measured("h(θ − δ) − h(θ), c = 10<sup>−3</sup>",
                number(problem.loss_at(problem.theta.detach() - step)) - h)
      .at_most(0, "a descent step");
}

/// Of a network F is singular, the step is damped, and its divergence is not c but at second order.
void given_divergence_of_a_network(Findings& findings, const Material& material) {
  const Classifier network(material, 100, 6);
  const auto rule = natgrad::NaturalGradientOptions(1)
                        .curvature(natgrad::Fisher())
                        .damping(natgrad::Tikhonov(1e-2))
                        .solver(tight_solver())
                        .step_rule(natgrad::KLConstrained(0.01))
                        .measure(true);
  natgrad::NaturalGradient optimizer(network.network.parameters(), rule);
  std::vector<double> steps, nats, quadratic;
  for (int k = 0; k < 25; ++k) {
    const auto F = dense(natgrad::fisher(network.graph()));
    const auto start = network.network.theta();
    optimizer.step([&] { return network.loss(); });
    const auto delta = network.network.theta() - start;
    steps.push_back(k);
    nats.push_back(optimizer.summary().nats.value_or(NAN));
    quadratic.push_back(0.5 * number(delta.dot(F.mv(delta))));
  }
  findings.chart(Chart("KL divergence of a network's steps of c = 0.01 nats", "steps", "nats moved")
                     .line("KL(before ‖ after)", steps, nats)
                     .line("½δᵀFδ", steps, quadratic)
                     .level("c", 0.01)
                     .range(0, 1.2 * *std::ranges::max_element(nats)),
                 "100 digits, 16-6-10, λ = 10<sup>−2</sup>.");
  const auto [least, most] = std::ranges::minmax(nats);
  findings
      .claim("kl-constrained-network",
             "Of a network's steps, which are damped, the quadratic form is at "
             "most c.")
      .formula("½δ<sup>⊤</sup>Fδ ≤ c")
      .source("N, P §6")
      .rows({20})
      .by("<code>KLConstrained(c)</code>")
      .measured("largest ½δ<sup>⊤</sup>Fδ/c of 25 steps",
                *std::ranges::max_element(quadratic) / 0.01)
      .at_most(1 + 1e-9, "rounding");
  findings
      .claim("kl-of-a-network", "The divergence of a network's steps is c to second order only.")
      .formula("KL(P(θ) ‖ P(θ + δ)) = ½δ<sup>⊤</sup>Fδ + O(δ<sup>3</sup>)")
      .source("N, P §6")
      .rows({20})
      .by("<code>KLConstrained(c)</code>, <code>measure(true)</code>, <code>summary().nats</code>")
      .care("It may be larger than c.")
      .measured(fmt::format("largest KL/c of 25 steps; the least is {:.2g}", least / 0.01),
                most / 0.01)
      .near(1, 1, "c = 0.01 is no small step");
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "Argmins of h itself within a given length, or a given divergence, against the direction "
      "that "
      "F and ∇h tell.");
  in_a_metric(findings);
  among_distributions(findings);
  given_divergence(findings);
  given_divergence_of_a_network(findings, material);
}

}  // namespace
}  // namespace steepest_descent_section

Section steepest_descent() {
  return {"steepest_descent", "Steepest descent among distributions", "P §6",
          steepest_descent_section::run};
}

}  // namespace examples::theory
