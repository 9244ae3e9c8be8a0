// P §11: the quadratic model as a sum of squared distances to the best change of each example's
// outputs, the bound on what a step can promise, and why ∇h and F should come from the same data.

#include <fmt/format.h>
#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/diagnostics/local_model.h>
#include <natgrad/diagnostics/mixed_batches.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/torch.h>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace best_outputs_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

/// mean ½‖J δ - sign·F_R⁻∇log r‖²_{F_R} + h - ½ mean sᵀF_R⁻s, with a pseudo-inverse of each F_R.
double distance(const Classifier& problem, const Tensor& delta, double sign) {
  const auto z = problem.outputs(), p = z.detach().softmax(1);
  const int64_t n = z.size(0);
  const auto Jd = jacobian_of(z, problem.network.parameters()).mv(delta).view(z.sizes());
  const auto F_R = softmax_metric(p);
  const auto s = torch::one_hot(problem.digits.labels, 10).to(torch::kDouble) - p;
  const auto best =
      torch::matmul(torch::linalg_pinv(F_R, 1e-12, /*hermitian=*/true), s.unsqueeze(2)).squeeze(2);
  const auto squared = [&](const Tensor& v) {
    return (v.unsqueeze(1).matmul(F_R).squeeze(1) * v).sum() / n;
  };
  return number(0.5 * squared(Jd - sign * best) - 0.5 * squared(best)) + number(problem.loss());
}

void least_squares(Findings& findings, const Classifier& problem) {
  const auto graph = problem.graph();
  const auto model = natgrad::quadratic_model(graph);
  double of_library = 0, by_hand = 0, printed = 1e30;
  for (int k = 0; k < 3; ++k) {
    const auto delta = 0.3 * normal({problem.network.size()}, 111 + k);
    const double M = model(delta), scale = std::abs(M - model.loss());
    of_library =
        larger(of_library, std::abs(natgrad::least_squares_form(graph, delta) - M) / scale);
    by_hand = larger(by_hand, std::abs(distance(problem, delta, +1) - M) / scale);
    printed = smaller(printed, std::abs(distance(problem, delta, -1) - M) / scale);
  }
  const char* const by =
      "<code>quadratic_model(graph)</code>, <code>least_squares_form(graph, δ)</code>, "
      "<code>best_outputs(graph)</code>";
  findings
      .claim("least-squares-form",
             "Where F = G, and ∇h and F are of the same data, M is a sum of squared "
             "distances between what δ does to the outputs and what would be best "
             "for each of them.")
      .formula(
          "M(δ) = <sup>1</sup>⁄<sub>|S|</sub> Σ ½‖J<sub>f</sub>δ − "
          "F<sub>R</sub><sup>−</sup>∇<sub>z</sub>log r‖<sup>2</sup><sub>F<sub>R</sub></sub> + c")
      .source("P §11")
      .rows({49})
      .by(by)
      .care(
          "F<sub>R</sub> is singular for softmax: F<sub>R</sub><sup>−</sup> is an inverse on its "
          "range, where the score lies.")
      .measured(
          "larger error of the library's and of pseudo-inverses, over |M − h|, three random δ",
          larger(of_library, by_hand))
      .at_most(1e-10, "sums in double");
  findings.claim("least-squares-as-printed", "M is that sum with a plus within the norm.")
      .formula(
          "‖J<sub>f</sub>δ + F<sub>R</sub><sup>−1</sup>∇<sub>z</sub>log "
          "r(y|z)‖<sup>2</sup><sub>F<sub>R</sub></sub>")
      .source("P §11")
      .rows({49})
      .by(by)
      .care("∇h = −mean J<sub>f</sub><sup>⊤</sup>∇<sub>z</sub>log r, hence a minus.")
      .as_printed()
      .measured("smallest error of it, over |M − h|", printed)
      .at_most(1e-10, "sums in double");
  const auto best = natgrad::best_outputs(graph)[0];
  const auto p = problem.outputs().detach().softmax(1);
  const auto labels = problem.digits.labels.unsqueeze(1);
  const auto ratio = torch::zeros_like(p).scatter(1, labels, 1 / p.gather(1, labels));
  const auto centred = [](const Tensor& t) { return t - t.mean(1, true); };
  findings
      .claim("best-outputs-of-softmax",
             "For softmax the best change of the outputs is y/p, up to a number "
             "added to all.")
      .formula("F<sub>R</sub><sup>−</sup>∇<sub>z</sub>log r = y/p − mean(y/p)")
      .source("P §11")
      .rows({49})
      .by("<code>best_outputs(graph)</code>")
      .measured("relative error", relative_error(centred(best), centred(ratio)))
      .at_most(1e-10, "quotients in double");
}

// ---- The bound. ----

void bound_in_closed_form(Findings& findings, const Material& material, const Classifier& problem) {
  const auto p_y =
      problem.outputs().detach().softmax(1).gather(1, problem.digits.labels.unsqueeze(1));
  const double of_softmax = number(-0.5 * ((1 - p_y) / p_y).mean());
  const Completion digits(some_digits(material, 60));
  const Network network(8, 4, 8, material.seed + 115);
  const auto z = network(digits.x);
  const LossGraph gaussian(natgrad::nll(natgrad::Gaussian(z, 0.1), digits.y), network.parameters());
  const double of_gaussian = number(-0.5 * ((digits.y - z).square().sum(1) / 0.1).mean());
  findings
      .claim("bound-in-closed-form",
             "The bound is easy to compute: (1 − p<sub>y</sub>)/p<sub>y</sub> for "
             "softmax, ‖y − z‖<sup>2</sup>/σ<sup>2</sup> for Gaussians.")
      .formula(
          "M(δ) − h(θ) ≥ −<sup>1</sup>⁄<sub>2|S|</sub> Σ ∇log r<sup>⊤</sup> "
          "F<sub>R</sub><sup>−</sup> ∇log r")
      .source("P §11")
      .rows({50})
      .by("<code>bound(graph)</code>")
      .care("Printed “M(θ) − h(θ)”.")
      .measured("larger relative error of the two",
                larger(std::abs(natgrad::bound(problem.graph()) / of_softmax - 1),
                       std::abs(natgrad::bound(gaussian) / of_gaussian - 1)))
      .at_most(1e-10, "sums in double");
}

/// What the exact minimiser promises along training, and what the steps promise.
void bound_along_training(Findings& findings, const Classifier& problem) {
  natgrad::NaturalGradient optimizer(problem.network.parameters(),
                                     plain_natural_gradient(1, 0.03).measure(true));
  std::vector<double> steps, bound, least, promised;
  int64_t below = 0;
  for (int k = 0; k < 20; ++k) {
    const auto graph = problem.graph();
    const auto report = natgrad::check_quadratic_model(graph);
    steps.push_back(k);
    bound.push_back(-report.bound);
    least.push_back(-report.gain);
    below += report.gain < report.bound * (1 + 1e-9);
    optimizer.step(problem.loss());
    promised.push_back(optimizer.summary().bound_share.value_or(NAN) * -report.bound);
  }
  findings.chart(Chart("What a step can promise", "steps", "fall of h")
                     .line("the bound", steps, bound)
                     .line("the model's minimum, 50 iterations", steps, least)
                     .line("promised by the step, λ = 0.03", steps, promised)
                     .log_y(),
                 "100 digits, 16-6-10.");
  findings
      .claim("bound-holds",
             "No step promises more than the bound where ∇h and F are of the same data.")
      .source("P §11")
      .rows({50})
      .by("<code>check_quadratic_model(graph)</code>, <code>summary().bound_share</code>")
      .measured("violations at 20 points along training", double(below))
      .at_most(0, "none");
}

/// With parameters of each example's own.
void bound_without_ties(Findings& findings, const Classifier& problem) {
  const auto own = problem.outputs().detach().clone().requires_grad_();
  const LossGraph alone(Classifier::loss(own, problem.digits.labels), {own});
  const auto solution = tight_solver().solve(natgrad::fisher(alone), -alone.gradient());
  findings
      .claim("bound-is-reached",
             "The bound is what could be gained if the outputs of each example could be changed "
             "independently.")
      .formula("θ = (z<sub>1</sub>, …, z<sub>|S|</sub>)")
      .source("P §11")
      .rows({50})
      .by("<code>bound(graph)</code>, <code>ConjugateGradient</code>")
      .measured("min M − h over the bound, each example with parameters of its own",
                solution.summary.quadratic / natgrad::bound(alone))
      .near(1, 1e-6, "a solve; p<sub>y</sub> may be small");
}

void bounds(Findings& findings, const Material& material) {
  const Classifier problem(material, 100, 6);
  bound_in_closed_form(findings, material, problem);
  bound_along_training(findings, problem);
  bound_without_ties(findings, problem);
}

void mixed(Findings& findings, const Material& material) {
  const auto all = some_digits(material, 480);
  const Network network(16, 2, 1, material.seed + 116);
  const auto loss = [&](int64_t batch) {
    const auto rows = torch::arange(40 * batch, 40 * (batch + 1));
    const auto part = all.rows(rows);
    const auto y = part.labels.remainder(2).to(torch::kDouble).unsqueeze(1);
    return natgrad::nll(natgrad::Bernoulli(network(part.coarse)), y);
  };
  const auto report = natgrad::mixed_batches(network.parameters(), loss, 12);
  const auto pairs = double(report.pairs.size());
  std::vector<double> same, other, bound;
  for (const auto& pair : report.pairs) {
    bound.push_back(-pair.bound);
    same.push_back(pair.same / pair.bound);
    other.push_back(pair.mixed / pair.bound);
  }
  findings.chart(
      Chart("∇h and F of the same batch, and of two", "the bound on the fall of h",
            "promised, as a share of the bound")
          .points("F of another batch", bound, other)
          .points("F of the same batch", bound, same)
          .level("the bound", 1)
          .log_y(),
      fmt::format("Twelve batches of 40 digits, a network 16-2-1 with 37 weights: {} pairs.",
                  report.pairs.size()));
  findings.claim("same-batch", "With F and ∇h of the same data the bound holds always.")
      .source("P §11")
      .rows({50})
      .by("<code>mixed_batches(parameters, loss, 12)</code>")
      .measured("pairs that promise more, F of the gradient's batch", double(report.same_below))
      .at_most(0, "none");
  findings.claim("mixed-batches", "With F of other data than ∇h the bound fails.")
      .source("P §11")
      .rows({50})
      .by("<code>mixed_batches(parameters, loss, 12)</code>")
      .measured("share of the pairs that promise more, F of another batch",
                double(report.mixed_below) / pairs)
      .at_least(0.5, "most");
  findings
      .claim("exploding-steps",
             "With F of other data steps explode: computing F and ∇h on the same data makes the "
             "natural gradient more stable.")
      .formula(
          "‖F<sub>l</sub><sup>−1</sup>∇h<sub>k</sub>‖ / ‖F<sub>k</sub><sup>−1</sup>∇h<sub>k</sub>‖")
      .source("P §11, Martens &amp; Sutskever (2012)")
      .rows({50})
      .by("<code>mixed_batches(parameters, loss, 12)</code>")
      .measured(
          fmt::format("median growth of a step; the largest is {:.3g}", report.largest_growth),
          report.median_growth)
      .at_least(1.5, "a factor beyond doubt");
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "F and ∇h of the same data make M(δ) a weighted least-squares problem in the outputs: how "
      "near "
      "J<sub>f</sub>δ comes to what would be best for each example.");
  const Classifier problem(material, 60, 4);
  least_squares(findings, problem);
  bounds(findings, material);
  mixed(findings, material);
}

}  // namespace
}  // namespace best_outputs_section

Section best_outputs() {
  return {"best_outputs", "A new interpretation", "P §11", best_outputs_section::run};
}

}  // namespace examples::theory
