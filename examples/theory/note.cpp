// N, the short note on natural gradient: distributions without a network between, what eigenvalues
// have to do with the speed of convergence, and what a product costs.

#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/torch.h>

#include <algorithm>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace note_section {
namespace {

using natgrad::LossGraph, natgrad::NaturalGradient, torch::Tensor;

// ---- p(x|θ) with no network. ----

/// A distribution of something of the digits, by its natural parameters.
struct Plain {
  std::string name;
  Tensor data, theta;
  std::function<Tensor(const Tensor& theta)> loss;
  Tensor fisher;                                       ///< in closed form, at θ
  std::function<Tensor(const Tensor& theta)> moments;  ///< E[T]
  Tensor observed;                                     ///< the data's mean of T
};

std::vector<Plain> plain_distributions(const Material& material) {
  const auto digits = some_digits(material, 300);
  std::vector<Plain> all;
  {
    const auto theta = parameter({10}, 121, 0.5);
    const auto y = digits.labels;
    const auto p = theta.detach().softmax(0);
    all.push_back({"which digit (categorical)", y, theta,
                   [y](const Tensor& t) {
                     return natgrad::nll(natgrad::Categorical(t.expand({300, 10})), y);
                   },
                   torch::diag(p) - p.outer(p), [](const Tensor& t) { return t.softmax(0); },
                   torch::one_hot(y, 10).to(torch::kDouble).mean(0)});
  }
  {
    const auto y = (16 * digits.pixels.select(1, 20)).round();
    const auto theta = torch::full({1}, 1.2, torch::kDouble).requires_grad_();
    all.push_back(
        {"ink of a pixel, 0 to 16 (Poisson)", y, theta,
         [y](const Tensor& t) { return natgrad::nll(natgrad::Poisson(t.expand({300})), y); },
         theta.detach().exp().view({1, 1}), [](const Tensor& t) { return t.exp(); },
         y.mean().view({1})});
  }
  {
    const auto y = digits.pixels.mean(1, true);
    const auto theta = torch::tensor({4., -8.}, torch::kDouble).requires_grad_();
    const double variance = 1. / 16, mean = 4 * variance;
    all.push_back({"a digit's mean ink (Gaussian, both parameters)", y, theta,
                   [y](const Tensor& t) {
                     return natgrad::nll(natgrad::NaturalGaussian(t.expand({300, 2})), y);
                   },
                   torch::tensor({{variance, 2 * mean * variance},
                                  {2 * mean * variance,
                                   4 * mean * mean * variance + 2 * variance * variance}},
                                 torch::kDouble),
                   [](const Tensor& t) {
                     const auto m = -t[0] / (2 * t[1]);
                     return torch::stack({m, m.square() - 1 / (2 * t[1])});
                   },
                   torch::stack({y.mean(), y.square().mean()})});
  }
  return all;
}

void unconditional(Findings& findings, const Material& material) {
  double of_fisher = 0, of_hessian = 0, of_fit = 0;
  std::vector<std::vector<Json>> rows;
  for (const auto& d : plain_distributions(material)) {
    const LossGraph graph(d.loss(d.theta), {d.theta});
    const auto F = dense(natgrad::fisher(graph));
    const double fisher = relative_error(F, d.fisher);
    // Of a natural parameter the Hessian of -log p is the same for all x: no expectation is needed.
    const double hessian = relative_error(F, hessian_of(d.loss(d.theta), {d.theta}));
    NaturalGradient optimizer({d.theta}, plain_natural_gradient(1));
    for (int k = 0; k < 12; ++k) optimizer.step(d.loss(d.theta));
    const double fit = relative_error(d.moments(d.theta.detach()), d.observed);
    rows.push_back({d.name, fisher, hessian, fit});
    of_fisher = larger(of_fisher, fisher);
    of_hessian = larger(of_hessian, hessian);
    of_fit = larger(of_fit, fit);
  }
  findings.table("Distributions p(x|θ) of 300 digits",
                 {"of", "F against closed form", "F against −E[H]", "fit of moments"}, rows);
  findings
      .claim("unconditional",
             "With no network between, F is the covariance of the score, and minus the "
             "expected Hessian of log p(x|θ).")
      .formula("F = E[s(θ)s(θ)<sup>⊤</sup>] = −E[H<sub>log p(x|θ)</sub>]")
      .source("N")
      .rows({54, 16})
      .by("<code>nll(family(θ), x)</code>, <code>fisher(graph)</code>")
      .measured("largest relative error above", larger(of_fisher, of_hessian))
      .at_most(1e-10, "sums over 300 digits");
  findings.claim("maximum-likelihood", "Natural-gradient steps end at maximum likelihood.")
      .formula("E<sub>p(x|θ)</sub>[T(x)] = mean of T(x)")
      .source("N")
      .rows({54})
      .by("<code>presets::natural_gradient(1)</code>, with a tighter solve")
      .measured("largest relative error of the moments after twelve steps", of_fit)
      .at_most(1e-9, "Newton's steps, to rounding");
}

// ---- Eigenvalues and the speed of convergence. ----

/// Least squares without noise, F = XᵀX/N of eigenvalues from 1 to 1/condition.
struct Spectrum {
  static constexpr int64_t kSize = 6;
  Tensor values, vectors, x, solution, w = torch::zeros({kSize}, torch::kDouble).requires_grad_();

  explicit Spectrum(double condition)
      : values(torch::logspace(-std::log10(condition), 0, kSize, 10, torch::kDouble)),
        vectors(std::get<0>(torch::linalg_qr(normal({kSize, kSize}, 131)))),
        x((vectors * (kSize * values).sqrt()).t().contiguous()),
        solution(vectors.mv(torch::ones({kSize}, torch::kDouble))) {}

  Tensor loss() const { return natgrad::nll(natgrad::Gaussian(x.mv(w)), x.mv(solution)); }
  /// The error in F's eigenbasis.
  Tensor error() const { return vectors.t().mv(w.detach() - solution); }
  void start() const {
    const torch::NoGradGuard no_grad;
    w.zero_();
  }
  /// What one step leaves of the error in each eigendirection.
  Tensor left(const std::function<void()>& step) const {
    start();
    const auto before = error();
    step();
    return error() / before;
  }
  /// Steps until the error is a thousandth.
  double steps(const std::function<void()>& step) const {
    start();
    const double goal = 1e-3 * number(error().norm());
    int count = 0;
    for (; number(error().norm()) > goal && count < 100000; ++count) step();
    return count;
  }
};

void convergence_speed(Findings& findings) {
  constexpr double kRate = 0.3;
  std::vector<double> conditions, of_gradient, of_natural;
  double gradient_law = 0, natural_law = 0;
  for (const double condition : {3., 10., 30., 100., 300., 1000.}) {
    const Spectrum problem(condition);
    const auto descend = [&] {  // rate 1 = 1/λ_max
      const auto g = gradient_of(problem.loss(), {problem.w});
      const torch::NoGradGuard no_grad;
      problem.w.sub_(g);
    };
    NaturalGradient natural({problem.w}, plain_natural_gradient(kRate));
    const auto follow = [&] { natural.step(problem.loss()); };
    gradient_law = larger(gradient_law, relative_error(problem.left(descend), 1 - problem.values));
    natural_law = larger(natural_law, relative_error(problem.left(follow),
                                                     torch::full_like(problem.values, 1 - kRate)));
    conditions.push_back(condition);
    of_gradient.push_back(problem.steps(descend));
    of_natural.push_back(problem.steps(follow));
  }
  findings.chart(Chart("Steps until the error is a thousandth",
                       "condition of F, largest over smallest eigenvalue", "steps")
                     .line("gradient descent, rate 1/λ_max", conditions, of_gradient)
                     .line("natural gradient, ε = 0.3", conditions, of_natural)
                     .log_x()
                     .log_y(),
                 "Least squares with six weights, where F is the Hessian.");
  findings
      .claim("eigenvalues-set-speed", "The eigenvalues determine the speed of gradient descent.")
      .formula(
          "u<sub>j</sub><sup>⊤</sup>(θ<sub>k+1</sub> − θ*) = (1 − αλ<sub>j</sub>) "
          "u<sub>j</sub><sup>⊤</sup>(θ<sub>k</sub> − θ*)")
      .source("N")
      .by("autograd; <code>fisher(graph)</code> has these eigenvalues")
      .measured("largest deviation from 1 − αλ<sub>j</sub>, relative", gradient_law)
      .at_most(1e-10, "rounding");
  findings
      .claim("condition-sets-steps",
             "The number of steps of gradient descent grows like the condition of F.")
      .source("N")
      .by("autograd")
      .measured("order in the condition, from 10 to 1,000",
                slope({conditions[1], conditions.back()}, {of_gradient[1], of_gradient.back()}))
      .near(1, 0.15, "whole steps, and the log of the goal");
  findings.claim("natural-speed", "With the natural gradient every direction converges alike.")
      .formula(
          "u<sub>j</sub><sup>⊤</sup>(θ<sub>k+1</sub> − θ*) = (1 − ε) "
          "u<sub>j</sub><sup>⊤</sup>(θ<sub>k</sub> − θ*)")
      .source("N")
      .by("<code>presets::natural_gradient(ε)</code>, with a tighter solve")
      .measured("largest deviation from 1 − ε, relative", natural_law)
      .at_most(1e-9, "a solve of condition 10<sup>3</sup>");
  const auto [fewest, most] = std::ranges::minmax(of_natural);
  findings.claim("natural-steps", "The natural gradient takes as many steps for any condition.")
      .source("N")
      .by("<code>presets::natural_gradient(ε)</code>, with a tighter solve")
      .measured("most less fewest steps, condition 3 to 1,000", most - fewest)
      .near(0, 0, "the same");
}

// ---- What it costs. ----

/// The identity, which counts how often a pass goes through it, forward or backward.
struct Counted : torch::autograd::Function<Counted> {
  static inline int passes = 0;
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& t) {
    ++passes;
    return t.clone();
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext*,
                                               torch::autograd::tensor_list gradients) {
    return {Counted::apply(gradients[0])};
  }
};

void costs(Findings& findings) {
  std::vector<std::vector<Json>> rows;
  int most = 0;
  for (const int64_t size : {10, 100, 1000, 10000}) {
    const auto logits = parameter({size}, 141);
    const LossGraph graph(
        natgrad::nll(natgrad::Categorical(Counted::apply(logits).unsqueeze(0)), torch::tensor({0})),
        {logits});
    const auto F = natgrad::fisher(graph);
    const auto v = normal({size}, 142);
    F.multiply(v);  // builds J
    Counted::passes = 0;
    F.multiply(v);
    rows.push_back({size, Counted::passes});
    most = std::max(most, Counted::passes);
  }
  findings.table("A product with F", {"P", "passes"}, rows);
  findings.claim("passes", "A product with F takes two passes, however many parameters there are.")
      .formula("F v = J<sup>⊤</sup>(F<sub>R</sub>(J v))")
      .source("N, B")
      .rows({54})
      .by("<code>fisher(graph).multiply(v)</code>")
      .care(
          "“Scales as the cube of the number of parameters” (B), and P §9's cost of "
          "F<sup>−1</sup>∇h, "
          "are those of inverting a dense F.")
      .measured("most passes of a product, P from 10 to 10,000", most)
      .near(2, 0, "J v and J<sup>⊤</sup>u");
}

void run(Findings& findings, const Material& material) {
  findings.text("What the note says of p(x|θ), of eigenvalues and of cost.");
  unconditional(findings, material);
  convergence_speed(findings);
  costs(findings);
}

}  // namespace
}  // namespace note_section

Section note() { return {"note", "Without a network: the note", "N", note_section::run}; }

}  // namespace examples::theory
