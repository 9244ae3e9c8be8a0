// P §8, the first half: how F is computed. J and F_R, targets drawn from the model, Amari's unit in
// closed form and the empirical Q̂_x, and noise of any density around the outputs.

#include <fmt/format.h>
#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/curvature/tanh_unit.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/location.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/student_t.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <numbers>

#include "theory/matrices.h"
#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace computation_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- J and F_R. ----

void chain_rule(Findings& findings, const Classifier& problem) {
  const auto z = problem.outputs();
  const int64_t n = z.size(0);
  const auto J = jacobian_of(z, problem.network.parameters()).view({n, 10, -1});
  const auto scores = natgrad::Categorical(z.detach()).score(problem.digits.labels);
  double worst = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto gradient = -gradient_of(problem.loss_of(i), problem.network.parameters());
    worst = larger(worst, relative_error(J[i].t().mv(scores[i]), gradient));
  }
  findings
      .claim("chain-rule",
             "The score of the network's distribution is that of the outputs', pulled back.")
      .formula("∇log p(y|x,θ) = J<sub>f</sub><sup>⊤</sup> ∇<sub>z</sub>log r(y|z)")
      .source("P §8")
      .rows({25})
      .by("<code>Likelihood::score</code>")
      .measured("largest relative difference, 60 digits", worst)
      .at_most(kRounding, kRoundingWords);

  // F_R by its definition, class by class.
  const auto p = z.detach().softmax(1);
  auto F_R = torch::zeros({n, 10, 10}, torch::kDouble);
  for (int64_t y = 0; y < 10; ++y) {
    const auto s = natgrad::Categorical(z.detach()).score(torch::full({n}, y, torch::kLong));
    F_R += p.select(1, y).view({n, 1, 1}) * s.unsqueeze(2) * s.unsqueeze(1);
  }
  const auto expected = torch::einsum("nkp,nkl,nlq->pq", {J, F_R, J}) / n;
  findings
      .claim("park",
             "F is the mean of J<sub>f</sub><sup>⊤</sup>F<sub>R</sub>J<sub>f</sub>, with the "
             "Fisher matrix F<sub>R</sub> of the outputs' distribution.")
      .formula(
          "F = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>f</sub><sup>⊤</sup> F<sub>R</sub> "
          "J<sub>f</sub>, &nbsp; F<sub>R</sub> = E<sub>R<sub>y|z</sub></sub>[∇<sub>z</sub>log r "
          "∇<sub>z</sub>log r<sup>⊤</sup>]")
      .source("P §8, Park et al. (2000)")
      .rows({25})
      .by("<code>fisher(graph)</code>; F<sub>R</sub> here class by class, there in closed form")
      .measured("‖F − mean J<sup>⊤</sup>F<sub>R</sub>J‖/‖·‖",
                relative_error(fisher_of(problem.graph()), expected))
      .at_most(kRounding, kRoundingWords);
}

// ---- Targets drawn from the model. ----

void monte_carlo(Findings& findings, const Classifier& problem) {
  const auto graph = problem.graph();
  const auto F = fisher_of(graph);
  std::vector<double> samples, errors;
  auto mean = torch::zeros_like(F);
  for (const int64_t k : {1, 3, 10, 30, 100, 300, 1000}) {
    double sum = 0;
    constexpr int kDraws = 4;
    for (int draw = 0; draw < kDraws; ++draw) {
      const auto estimate =
          dense(natgrad::monte_carlo_fisher(graph, k, natgrad::make_generator(k, draw)));
      sum += relative_error(estimate, F) / kDraws;
    }
    samples.push_back(double(k));
    errors.push_back(sum);
  }
  findings.chart(Chart("The Fisher matrix with targets drawn from the model",
                       "targets drawn for each example, k", "relative error of $F$")
                     .line("error", samples, errors)
                     .log_x()
                     .log_y(),
                 "60 digits, mean of four draws.");
  findings
      .claim("monte-carlo",
             "With targets drawn from the model the estimate of F has no bias: its error "
             "falls like 1/√k.")
      .formula(
          "F̂ = <sup>1</sup>⁄<sub>k|S|</sub> ΣΣ<sub>j</sub> ∇log p(y<sub>j</sub>|x,θ) ∇log "
          "p(y<sub>j</sub>|x,θ)<sup>⊤</sup>, &nbsp; y<sub>j</sub> ~ P<sub>y|x</sub>(θ)")
      .source("P §8, Schraudolph (2002)")
      .rows({26})
      .by("<code>monte_carlo_fisher(graph, k)</code>")
      .measured("order of the fall, k from 1 to 1,000", -slope(samples, errors))
      .near(0.5, 0.06, "the noise of four draws");
}

// ---- Amari's unit. ----

/// E[(1 - tanh²(wᵀx))² x xᵀ]/σ² over x ~ N(0, I) in three dimensions, by the trapezoidal rule.
Tensor unit_by_quadrature(const Tensor& w, double noise) {
  constexpr double kStep = 0.2, kReach = 7;
  const auto t = torch::arange(-kReach, kReach + kStep / 2, kStep, torch::kDouble);
  const auto grid = torch::stack(torch::meshgrid({t, t, t}, "ij"), 3).view({-1, 3});
  const auto density =
      (-0.5 * grid.square().sum(1)).exp() * std::pow(kStep / std::sqrt(2 * std::numbers::pi), 3);
  const auto slope = 1 - grid.mv(w).tanh().square();
  return (grid * (density * slope.square()).unsqueeze(1)).t().mm(grid) / (noise * noise);
}

/// Its Fisher matrix on samples of inputs, against that over all.
void empirical_inputs(Findings& findings, const Tensor& w, double noise, const Tensor& F) {
  std::vector<double> counts, errors;
  for (const int64_t n : {100, 1000, 10000, 100000}) {
    double sum = 0;
    constexpr int kDraws = 8;
    for (int draw = 0; draw < kDraws; ++draw) {
      const auto x = normal({n, 3}, 8000 + 10 * n + draw);
      const auto leaf = w.clone().requires_grad_();
      const LossGraph graph(natgrad::nll(natgrad::Gaussian(x.mv(leaf).tanh(), noise * noise),
                                         torch::zeros({n}, torch::kDouble)),
                            {leaf});
      sum += relative_error(fisher_of(graph), F) / kDraws;
    }
    counts.push_back(double(n));
    errors.push_back(sum);
  }
  findings.chart(
      Chart("From the empirical inputs to all of them", "inputs |S|", "relative error of $F$")
          .line("error", counts, errors)
          .log_x()
          .log_y(),
      "One tanh unit with three inputs; mean of eight draws.");
  findings
      .claim("empirical-inputs",
             "With the empirical Q̂<sub>x</sub> in place of Q<sub>x</sub> F is easy to "
             "evaluate for any network, and tends to that over Q<sub>x</sub>.")
      .formula("F = E<sub>Q̂<sub>x</sub></sub>[J<sub>f</sub><sup>⊤</sup>F<sub>R</sub>J<sub>f</sub>]")
      .source("P §5, §8")
      .rows({28})
      .by("<code>fisher(graph)</code>")
      .measured("order of the fall in |S|, 100 to 100,000", -slope(counts, errors))
      .near(0.5, 0.1, "the noise of eight draws");
}

void tanh_unit(Findings& findings) {
  constexpr double kNoise = 0.3;
  const auto w = torch::tensor({0.8, -0.5, 0.3}, torch::kDouble);
  const natgrad::TanhUnit unit(w, kNoise);
  const auto F = dense(unit.fisher());
  findings
      .claim("tanh-unit",
             "For x ~ N(0, I), one tanh unit and Gaussian noise F can be computed "
             "analytically over Q<sub>x</sub> itself.")
      .formula(
          "F = <sup>1</sup>⁄<sub>σ<sup>2</sup></sub>[c<sub>1</sub>(I − uu<sup>⊤</sup>) + "
          "c<sub>2</sub>uu<sup>⊤</sup>], &nbsp; c<sub>1</sub> = E[sech<sup>4</sup>(|w|e)], "
          "c<sub>2</sub> = E[sech<sup>4</sup>(|w|e)e<sup>2</sup>]")
      .source("P §8, Amari (1998)")
      .rows({27})
      .by("<code>TanhUnit(w, σ).fisher()</code>")
      .care("Amari's unit is tanh(w<sup>⊤</sup>x/2): a quarter of this at w/2.")
      .measured("relative error against a quadrature in three dimensions",
                relative_error(F, unit_by_quadrature(w, kNoise)))
      .at_most(1e-9, "a trapezoidal rule with steps of 0.2");
  findings.claim("tanh-unit-inverse", "The inverse of that F can be computed too.")
      .formula(
          "F<sup>−1</sup> = σ<sup>2</sup>[(I − uu<sup>⊤</sup>)/c<sub>1</sub> + "
          "uu<sup>⊤</sup>/c<sub>2</sub>]")
      .source("P §8, Amari (1998)")
      .rows({27})
      .by("<code>TanhUnit(w, σ).inverse()</code>; as a <code>Metric</code> in section “Learning "
          "rates”")
      .measured("‖F F<sup>−1</sup> − I‖",
                number((F.mm(dense(unit.inverse())) - torch::eye(3, torch::kDouble)).norm()))
      .at_most(1e-12, "products in double");
  empirical_inputs(findings, w, kNoise, F);
}

// ---- Noise of any density. ----

struct Noise {
  std::string name;
  std::function<Tensor(const Tensor& z, const Tensor& y)> loss;
  double kappa;  ///< ∫ c'²/c
};

void location(Findings& findings, const Material& material) {
  const Completion digits(some_digits(material, 40));
  const Network network(8, 4, 8, material.seed + 82);
  const natgrad::NoiseDensity sech([](const Tensor& a) { return -a.cosh().log(); });
  const auto& y = digits.y;
  const std::vector<Noise> noises = {
      {"normal, σ<sup>2</sup> = 1",
       [](auto& z, auto& y) { return natgrad::nll(natgrad::Gaussian(z), y); }, 1},
      {"normal, σ<sup>2</sup> = ¼",
       [](auto& z, auto& y) { return natgrad::nll(natgrad::Gaussian(z, 0.25), y); }, 4},
      {"Laplace, b = ½", [](auto& z, auto& y) { return natgrad::nll(natgrad::Laplace(z, 0.5), y); },
       4},
      {"logistic, s = 1", [](auto& z, auto& y) { return natgrad::nll(natgrad::Logistic(z), y); },
       1. / 3},
      {"Student's t, ν = 3",
       [](auto& z, auto& y) { return natgrad::nll(natgrad::StudentT(z, 3), y); }, 4. / 6},
      {"Cauchy, γ = 1", [](auto& z, auto& y) { return natgrad::nll(natgrad::Cauchy(z), y); }, 0.5},
      {"sech, a user's density",
       [&](auto& z, auto& y) { return natgrad::nll(natgrad::Location(z, sech), y); }, 0.5}};
  double worst = 0;
  std::vector<std::vector<Json>> rows;
  for (const auto& noise : noises) {
    const LossGraph graph(noise.loss(network(digits.x), y), network.parameters());
    const double error = relative_error(
        fisher_of(graph), noise.kappa * dense(natgrad::classical_gauss_newton(graph)));
    rows.push_back({noise.name, noise.kappa, error});
    worst = larger(worst, error);
  }
  findings.table("Noise around the outputs", {"c", "κ = ∫c′²/c", "‖F − κG‖/‖κG‖"}, rows);
  findings
      .claim("location-families",
             "If r(y|z) = Π c(y<sub>j</sub> − z<sub>j</sub>), F is a re-scaled "
             "classical Gauss-Newton matrix; for the normal density it is that "
             "matrix.")
      .formula(
          "F = κ · <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>f</sub><sup>⊤</sup>J<sub>f</sub>, &nbsp; κ "
          "= "
          "∫ c′(a)<sup>2</sup>/c(a) da")
      .source("P §8, Park et al. (2000), Heskes (2000)")
      .rows({29, 30})
      .by("<code>Location(z, NoiseDensity(log c))</code>, <code>fisher(graph)</code>, "
          "<code>classical_gauss_newton(graph)</code>")
      .care("“The choice c(a) = ½a<sup>2</sup>” has to be c(a) ∝ exp(−½a<sup>2</sup>), with σ = 1.")
      .measured("largest relative difference above", worst)
      .at_most(1e-9, "κ of a user's density by quadrature");
}

void run(Findings& findings, const Material& material) {
  findings.text("A classifier of 4 x 4 digits, 16-4-10; then Amari's unit, y = tanh(w·x) + noise.");
  const Classifier problem(material, 60, 4);
  chain_rule(findings, problem);
  monte_carlo(findings, problem);
  tanh_unit(findings);
  location(findings, material);
}

}  // namespace
}  // namespace computation_section

Section computation() {
  return {"computation", "Computing the Fisher matrix", "P §8", computation_section::run};
}

}  // namespace examples::theory
