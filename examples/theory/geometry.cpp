// P §6 and the note: KL divergence as the measure of a step. Its expansion, steepest descent by it,
// steps of a given divergence, and which geodesic the smooth path is.

#include <natgrad/diagnostics/geodesic_flow.h>
#include <natgrad/diagnostics/kl_expansion.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/torch.h>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace geometry_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- The expansion. ----

void draw_expansion(Findings& findings, const natgrad::KLExpansionReport& report) {
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
}

void expansion(Findings& findings, const Material& material) {
  const Classifier problem(material, 60, 4);
  const auto report =
      natgrad::kl_expansion(problem.network.parameters(), [&] { return problem.loss(); });
  draw_expansion(findings, report);
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
                larger(std::abs(report.forward.third * 3 / third_cumulant - 1),
                       std::abs(report.reverse.third * 6 / third_cumulant - 1)))
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
    worst = larger(worst, std::abs(report.forward.divergence[k] / quadratic - 1));
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
  geodesics(findings);
  mean_parameters(findings, material);
}

}  // namespace
}  // namespace geometry_section

Section geometry() {
  return {"geometry", "Geometric interpretation", "P §6", geometry_section::run};
}

}  // namespace examples::theory
