// P §6 and the note: KL divergence as the measure of a step. Its expansion, steepest descent by it,
// steps of a given divergence, and which geodesic the smooth path is.

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/diagnostics/geodesic_flow.h>
#include <natgrad/diagnostics/kl_expansion.h>
#include <natgrad/diagnostics/kl_moved.h>
#include <natgrad/diagnostics/steepest_descent.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/solvers/kl_constrained_step.h>
#include <natgrad/step_control/kl_constrained.h>
#include <torch/torch.h>

#include <numbers>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace geometry_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- The expansion. ----

void expansion(Findings& findings, const Material& material) {
  const Classifier problem(material, 60, 4);
  const auto report =
      natgrad::kl_expansion(problem.network.parameters(), [&] { return problem.loss(); });
  std::vector<double> forward, reverse, quadratic;
  for (size_t k = 0; k < report.epsilons.size(); ++k) {
    forward.push_back(std::abs(report.forward.remainder[k]));
    reverse.push_back(std::abs(report.reverse.remainder[k]));
    quadratic.push_back(0.5 * report.epsilons[k] * report.epsilons[k] * report.square);
  }
  findings.chart(Chart("KL divergence along ∇h, less ½ε²dᵀFd", "step ε, in √(2 nats)", "nats")
                     .line("½ε²dᵀFd", report.epsilons, quadratic)
                     .line("|KL(θ+εd ‖ θ) − ½ε²dᵀFd|", report.epsilons, forward)
                     .line("|KL(θ ‖ θ+εd) − ½ε²dᵀFd|", report.epsilons, reverse)
                     .log_x()
                     .log_y(),
                 "A classifier of digits, 16-4-10. The remainders fall with the third power.");
  const auto difference = [&](size_t k) {
    return std::abs(report.forward.divergence[k] - report.reverse.divergence[k]);
  };
  const char* const by = "<code>kl_expansion(parameters, loss)</code>, <code>Likelihood::kl</code>";
  findings.claim("kl-expansion", "The divergence is half the quadratic form of F, to third order.")
      .formula("KL(P(θ + d) ‖ P(θ)) = ½d<sup>⊤</sup>Fd + O(d<sup>3</sup>)")
      .source("P §6")
      .rows({18})
      .by(by)
      .measured("order of the remainder", report.forward.slope)
      .near(3, 0.05, "steps from 0.1 down");
  findings.claim("kl-second-order", "The factor of the quadratic form is ½.")
      .formula("KL = c ε<sup>2</sup>d<sup>⊤</sup>Fd, &nbsp; c = ½")
      .source("P §6")
      .rows({18})
      .by(by)
      .measured("c, as measured", 0.5 * report.forward.second)
      .near(0.5, 1e-3, "extrapolated to ε = 0");
  findings.claim("kl-without-half", "The divergence is the quadratic form of F itself, with no ½.")
      .formula("D(q<sub>θ</sub> ‖ q<sub>θ+Δθ</sub>) ≈ Σ g<sub>ij</sub>Δθ<sub>i</sub>Δθ<sub>j</sub>")
      .source("B")
      .rows({18})
      .by(by)
      .care("½ Σ g<sub>ij</sub>Δθ<sub>i</sub>Δθ<sub>j</sub> is meant.")
      .as_printed()
      .measured("D over Σ g<sub>ij</sub>Δθ<sub>i</sub>Δθ<sub>j</sub>, as measured",
                0.5 * report.reverse.second)
      .near(1, 1e-3, "extrapolated to ε = 0");
  findings
      .claim("kl-reverse", "The divergence in the other direction has the same second-order term.")
      .formula("KL(P(θ) ‖ P(θ + d)) = ½d<sup>⊤</sup>Fd + O(d<sup>3</sup>)")
      .source("P §6")
      .rows({18, 21})
      .by(by)
      .measured("order of the remainder", report.reverse.slope)
      .near(3, 0.05, "steps from 0.1 down");
  findings
      .claim("kl-symmetric",
             "So the divergence is locally symmetric: the two differ in third order.")
      .formula("KL(P(θ + d) ‖ P(θ)) − KL(P(θ) ‖ P(θ + d)) = O(d<sup>3</sup>)")
      .source("P §6")
      .rows({21})
      .by(by)
      .measured("order of the difference", order(difference(4), difference(5)))
      .near(3, 0.05, "steps from 0.1 down");
}

void coefficients(Findings& findings) {
  constexpr double kLogRate = 0.6;
  const auto z = torch::full({1}, kLogRate, torch::kDouble).requires_grad_();
  const auto loss = [&] {
    return natgrad::nll(natgrad::Poisson(1 * z), torch::ones({1}, torch::kDouble));
  };
  const auto report = natgrad::kl_expansion({z}, loss, torch::ones({1}, torch::kDouble));
  // The direction was scaled so that F d² = 1: k₃d³ is then k₃/F^1.5.
  const double third_cumulant = std::exp(kLogRate) / std::pow(std::exp(kLogRate), 1.5);
  findings
      .claim("kl-third-order",
             "Of a natural parameter the third-order terms are k<sub>3</sub>d<sup>3</sup>/3 and "
             "k<sub>3</sub>d<sup>3</sup>/6, k<sub>3</sub> the third cumulant.")
      .formula(
          "KL(θ + d ‖ θ) = ½Fd<sup>2</sup> + <sup>k<sub>3</sub></sup>⁄<sub>3</sub>d<sup>3</sup> + "
          "…, "
          "&nbsp; KL(θ ‖ θ + d) = ½Fd<sup>2</sup> + "
          "<sup>k<sub>3</sub></sup>⁄<sub>6</sub>d<sup>3</sup> "
          "+ …")
      .source("P §6")
      .rows({18, 21})
      .by("<code>kl_expansion</code> of <code>Poisson(z)</code>")
      .measured("larger deviation of the two from 1, relative",
                std::max(std::abs(std::abs(report.forward.third) * 3 / third_cumulant - 1),
                         std::abs(std::abs(report.reverse.third) * 6 / third_cumulant - 1)))
      .at_most(1e-2, "extrapolated to ε = 0");
}

void exact(Findings& findings, const Material& material) {
  const Completion digits(some_digits(material, 60));
  const auto W = parameter({8, 8}, 61);
  const auto loss = [&] {
    return natgrad::nll(natgrad::Gaussian(digits.x.mm(W.t()), 0.3), digits.y);
  };
  const auto report = natgrad::kl_expansion({W}, loss);
  double worst = 0;
  for (size_t k = 0; k < report.epsilons.size(); ++k) {
    const double quadratic = 0.5 * report.epsilons[k] * report.epsilons[k] * report.square;
    worst = std::max(worst, std::abs(report.forward.divergence[k] / quadratic - 1));
  }
  findings
      .claim("kl-exact",
             "Of Gaussian means that are linear in θ the divergence is the quadratic form exactly.")
      .formula("KL(P(θ + d) ‖ P(θ)) = ½d<sup>⊤</sup>Fd")
      .source("P §6")
      .rows({18})
      .by("<code>kl_expansion(parameters, loss)</code>")
      .measured("largest |KL/½d<sup>⊤</sup>Fd − 1|", worst)
      .at_most(1e-9, "differences of outputs");
}

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
    worst_order = std::min(worst_order, order(errors[errors.size() - 2], errors.back()));
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
                std::max(of_forward.second.back(), of_reverse.second.back()))
      .at_most(0.02, "O(ε)");
}

// ---- Steps of a given divergence. ----

void given_divergence(Findings& findings, const Material& material) {
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

  // With a network: F is singular, the step is damped, and its divergence is not c but at second
  // order.
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

// ---- The smooth path. ----

void geodesics(Findings& findings) {
  const auto from = torch::tensor({0.8, 0.15, 0.05}, torch::kDouble),
             to = torch::tensor({0.1, 0.3, 0.6}, torch::kDouble);
  const auto report = natgrad::geodesic_flow(from, to);
  // The simplex as a triangle: corners (0, 0), (1, 0), (½, √¾).
  const auto corners = torch::tensor({{0., 0.}, {1., 0.}, {0.5, std::sqrt(0.75)}}, torch::kDouble);
  const auto place = [&](const Tensor& p) {
    const auto points = p.mm(corners);
    return std::pair(numbers(points.select(1, 0)), numbers(points.select(1, 1)));
  };
  const auto angle = torch::acos((from.sqrt() * to.sqrt()).sum());
  const auto t = torch::linspace(0, 1, 60, torch::kDouble).unsqueeze(1);
  const auto circle =
      (((1 - t) * angle).sin() * from.sqrt() + (t * angle).sin() * to.sqrt()) / angle.sin();
  const auto path = place(report.path), great = place(circle.square()),
             straight = place(from + t * (to - from)),
             triangle = place(torch::tensor(
                 {{1., 0., 0.}, {0., 1., 0.}, {0., 0., 1.}, {1., 0., 0.}}, torch::kDouble));
  findings.chart(
      Chart("The natural gradient flow of three classes, in the simplex", "$p_2 + p_3/2$",
            "$\\sqrt{3}\\,p_3/2$")
          .line("the flow, to time 1", path.first, path.second)
          .line("mixture geodesic, to q", straight.first, straight.second)
          .line("great circle in √p, to q", great.first, great.second)
          .line("simplex", triangle.first, triangle.second)
          .equal_axes(),
      "From p<sub>0</sub> = (0.8, 0.15, 0.05), lower left, towards q = (0.1, 0.3, 0.6).");
  const char* const by = "<code>geodesic_flow(p₀, q)</code>";
  findings
      .claim("mixture-geodesic",
             "With KL(q ‖ p) as the objective the smooth path of the natural gradient is "
             "a geodesic towards the target: the mixture geodesic.")
      .formula("p(t) = q + e<sup>−t</sup>(p<sub>0</sub> − q)")
      .source("P §6")
      .rows({22})
      .by(by)
      .measured("order in ε of the farthest distance from p(t)", report.orders.solution)
      .near(1, 0.1, "Euler's error, and no more");
  findings
      .claim("not-the-great-circle",
             "That path is not the geodesic of the Riemannian manifold, the great circle of √p, "
             "for three classes or more.")
      .source("P §6")
      .rows({22})
      .by(by)
      .care("“The geodesic path in the Riemannian manifold” holds for the mixture geodesic.")
      .measured("farthest distance from the circle over that from the line",
                report.fine.circle / report.fine.line)
      .at_least(10, "not for want of steps");
}

/// Both parameters of a Gaussian, by its natural ones, on the digits' mean ink.
void mean_parameters(Findings& findings, const Material& material) {
  const auto y = some_digits(material, 200).pixels.mean(1, true);
  const auto observed = torch::stack({y.mean(), y.square().mean()});
  const auto moments = [](const Tensor& t) {
    const auto mean = -t[0] / (2 * t[1]);
    return torch::stack({mean, mean.square() - 1 / (2 * t[1])});
  };
  const auto error = [&](int steps) {  // of the flow to time 1
    const auto theta = torch::tensor({2., -5.}, torch::kDouble).requires_grad_();
    const auto first = moments(theta.detach());
    natgrad::NaturalGradient optimizer({theta}, plain_natural_gradient(1. / steps));
    for (int k = 0; k < steps; ++k) {
      optimizer.step(
          natgrad::nll(natgrad::NaturalGaussian(theta.unsqueeze(0).expand({200, 2})), y));
    }
    return relative_error(moments(theta.detach()), observed + std::exp(-1.) * (first - observed));
  };
  findings
      .claim("mean-parameters",
             "In any exponential family the mean parameters go straight towards the "
             "data's.")
      .formula("η′ = −(η − η<sub>q</sub>), &nbsp; η = E<sub>p</sub>[T(y)]")
      .source("P §6")
      .rows({22})
      .by("<code>NaturalGradient</code>, <code>NaturalGaussian(z)</code>")
      .measured("order in ε of the distance from that line at time 1", order(error(50), error(100)))
      .near(1, 0.1, "Euler's error, and no more");
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "Divergences are in nats, the mean over the inputs; F is that of the loss's own mean. h and "
      "KL "
      "themselves stand on one side, F and ∇h on the other.");
  expansion(findings, material);
  coefficients(findings);
  exact(findings, material);
  in_a_metric(findings);
  among_distributions(findings);
  given_divergence(findings, material);
  geodesics(findings);
  mean_parameters(findings, material);
}

}  // namespace
}  // namespace geometry_section

Section geometry() {
  return {"geometry", "Geometric interpretation", "P §6", geometry_section::run};
}

}  // namespace examples::theory
