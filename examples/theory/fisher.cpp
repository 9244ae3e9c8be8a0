// P §5: the Fisher matrix in its two forms, as the covariance of the score, of the joint and of the
// conditional distribution; and the natural gradient.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/torch.h>

#include "theory/matrices.h"
#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace fisher_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

/// The scores ∇log p(y|x) of all examples and all classes, by plain autograd, and their
/// probabilities.
struct AllScores {
  Tensor scores;         // [N, K, P]
  Tensor probabilities;  // [N, K]
  explicit AllScores(const Classifier& problem) {
    const auto log_p = problem.outputs().log_softmax(1);
    scores = jacobian_of(log_p, problem.network.parameters())
                 .view({log_p.size(0), log_p.size(1), problem.network.size()});
    probabilities = log_p.detach().exp();
  }
  int64_t examples() const { return scores.size(0); }
};

void two_forms(Findings& findings, const Classifier& problem, const AllScores& all) {
  const auto F = fisher_of(problem.graph());
  const auto outer =
      torch::einsum("nk,nkp,nkq->pq", {all.probabilities, all.scores, all.scores}) / all.examples();
  findings
      .claim("fisher-outer",
             "F is the mean of the outer products of the score, over the inputs and "
             "over all targets as the model has them.")
      .formula(
          "F = <sup>1</sup>⁄<sub>|S|</sub> Σ<sub>x∈S</sub> E<sub>P<sub>y|x</sub></sub>[∇log "
          "p(y|x,θ) ∇log p(y|x,θ)<sup>⊤</sup>]")
      .source("P §5, eq. 4")
      .rows({15})
      .by("<code>fisher(graph)</code>, by products, from F<sub>R</sub> in closed form")
      .measured("‖F − sum over ten classes of 60 digits‖/‖·‖", relative_error(F, outer))
      .at_most(kRounding, kRoundingWords);

  const auto log_p = problem.outputs().log_softmax(1);
  const auto expected = (log_p.detach().exp() * log_p).sum() / all.examples();
  const auto hessian = -hessian_of(expected, problem.network.parameters());
  findings.claim("fisher-hessian", "F is minus the expected Hessian of log p.")
      .formula(
          "F = −<sup>1</sup>⁄<sub>|S|</sub> Σ<sub>x∈S</sub> "
          "E<sub>P<sub>y|x</sub></sub>[H<sub>log p(y|x,θ)</sub>]")
      .source("P §5, eq. 4")
      .rows({15})
      .by("<code>fisher(graph)</code>")
      .measured("‖F + E[Hessian by double backward]‖/‖·‖", relative_error(F, hessian))
      .at_most(kRounding, kRoundingWords);
  findings.claim("fisher-psd", "F is positive semi-definite.")
      .source("P §5")
      .rows({15})
      .by("<code>fisher(graph)</code>")
      .care(
          "Semi-definite: F and softmax's F<sub>R</sub> are singular (a number added to all logits "
          "changes nothing), so that “F<sup>−1</sup>” stands for an inverse on the range, or a "
          "damped one, and the metric "
          "is degenerate.")
      .measured("smallest eigenvalue over the largest",
                smallest_eigenvalue(F) / number(eigenvalues(F)[-1]))
      .at_least(-1e-12, "rounding");
}

/// Of the library's scores in z, over all targets as the model has them.
double mean_score_in_outputs(const Classifier& problem) {
  const auto z = problem.outputs().detach();
  const natgrad::Categorical r(z);
  const auto p = z.softmax(1);
  auto mean = torch::zeros_like(z), size = torch::zeros_like(z.select(1, 0));
  for (int64_t k = 0; k < z.size(1); ++k) {
    const auto s = r.score(torch::full({z.size(0)}, k, torch::kLong));
    mean += p.narrow(1, k, 1) * s;
    size += p.select(1, k) * s.norm(2, 1);
  }
  return number((mean.norm(2, 1) / size).max());
}

void score(Findings& findings, const Classifier& problem, const AllScores& all) {
  const auto mean = torch::einsum("nk,nkp->np", {all.probabilities, all.scores});
  const auto sizes = torch::einsum("nk,nk->n", {all.probabilities, all.scores.norm(2, 2)});
  findings.claim("score-mean-zero", "The score has mean zero under the model's own distribution.")
      .formula("E<sub>P<sub>y|x</sub></sub>[∇log p(y|x,θ)] = 0")
      .source("N")
      .rows({16})
      .by("<code>Likelihood::score</code>")
      .measured("largest of ‖mean‖/mean of ‖·‖, over the digits, in θ and in z",
                larger(number((mean.norm(2, 1) / sizes).max()), mean_score_in_outputs(problem)))
      .at_most(kRounding, kRoundingWords);
  const auto centred = all.scores - mean.unsqueeze(1);
  const auto covariance =
      torch::einsum("nk,nkp,nkq->pq", {all.probabilities, centred, centred}) / all.examples();
  findings
      .claim("fisher-covariance",
             "So F is the covariance of the score, about its mean or about zero.")
      .formula("F = E[(s − E s)(s − E s)<sup>⊤</sup>] = E[s s<sup>⊤</sup>]")
      .source("N")
      .rows({16})
      .by("<code>fisher(graph)</code>")
      .care(
          "Under the model's own expectation. Over the data's targets the two differ by "
          "∇h∇h<sup>⊤</sup>.")
      .measured("‖F − covariance‖/‖·‖", relative_error(fisher_of(problem.graph()), covariance))
      .at_most(kRounding, kRoundingWords);
}

/// p(y, x) = p(y|x) q(x) on the eight doses, dose by dose and outcome by outcome.
void joint(Findings& findings) {
  const Beetles beetles;
  const auto theta = Beetles::start(), z = beetles.logits(theta);
  auto expected = torch::zeros({2, 2}, torch::kDouble);
  for (int64_t x = 0; x < 8; ++x) {
    for (const double y : {0., 1.}) {
      const auto p_y = y == 1 ? z[x].sigmoid() : (-z[x]).sigmoid();
      const auto joint = p_y * beetles.weights()[x];
      const auto s = gradient_of(joint.log(), {theta});
      expected += joint.detach() * s.outer(s);
    }
  }
  findings
      .claim("fisher-joint",
             "The Fisher matrix of the joint distribution p(x, y|θ) is the mean over "
             "q(x) of that of p(y|x,θ), since q(x) knows no θ.")
      .formula("∇log p(x, y|θ) = ∇log p(y|x,θ)")
      .source("P §5")
      .rows({15})
      .by("<code>fisher(graph)</code> with q(x) as the weights of the loss")
      .measured("‖F − sum over 8 doses and 2 outcomes‖/‖·‖, Bliss's beetles",
                relative_error(fisher_of(LossGraph(beetles.loss(theta), {theta})), expected))
      .at_most(kRounding, kRoundingWords);
}

void kinks(Findings& findings, const Material& material) {
  constexpr double kWidth = 0.2;
  const Completion digits(some_digits(material, 40));
  const Network network(8, 4, 8, material.seed + 51);
  const auto z = network(digits.x);
  const LossGraph graph(natgrad::nll(natgrad::Laplace(z, kWidth), digits.y), network.parameters());
  const auto J = jacobian_of(z, network.parameters());
  const auto F = fisher_of(graph);
  findings
      .claim("second-form-at-kinks",
             "Where log r has a kink the second form says nothing: Laplace noise has no curvature "
             "almost everywhere, and F = J<sup>⊤</sup>J/b<sup>2</sup> by the first.")
      .formula("−E[H<sub>log r</sub>] = 0 ≠ F<sub>R</sub> = 1/b<sup>2</sup>")
      .source("P §5")
      .rows({15})
      .by("<code>Laplace(z, b)</code>, <code>fisher(graph)</code>, "
          "<code>gauss_newton(graph)</code>")
      .care("The two forms of eq. 4 need log p twice differentiable.")
      .measured("‖F − J<sup>⊤</sup>J/(b<sup>2</sup>|S|)‖/‖·‖ + ‖mean J<sup>⊤</sup>H<sub>L</sub>J‖",
                relative_error(F, J.t().mm(J) / (40 * kWidth * kWidth)) +
                    number(dense(natgrad::gauss_newton(graph)).norm()))
      .at_most(kRounding, kRoundingWords);
}

void natural_gradient(Findings& findings, const Classifier& problem) {
  const Beetles beetles;
  const auto theta = Beetles::start();
  const auto X = torch::stack({torch::ones({8}, torch::kDouble), beetles.dose}, 1);
  const auto p = beetles.logits(theta).detach().sigmoid();
  const auto F = X.t().mm((beetles.weights() * p * (1 - p)).unsqueeze(1) * X);
  const auto expected = torch::linalg_solve(F, X.t().mv(beetles.weights() * (p - beetles.share())));
  const auto before = theta.detach().clone();
  natgrad::NaturalGradient optimizer({theta}, plain_natural_gradient(1));
  optimizer.step(beetles.loss(theta));
  findings.claim("natural-gradient", "The natural gradient is F<sup>−1</sup>∇h.")
      .formula("∇̃h = F<sup>−1</sup>∇h")
      .source("P §5")
      .rows({14})
      .by("<code>NaturalGradient</code> with <code>presets::natural_gradient(1)</code>")
      .measured("error of one step against a dense solve, logistic regression on the beetles",
                relative_error(before - theta.detach(), expected))
      .at_most(1e-9, "a matrix of condition 10<sup>5</sup>");

  const auto graph = problem.graph();
  const auto solution = tight_solver().solve(natgrad::fisher(graph), graph.gradient());
  const auto residual = natgrad::fisher(graph).multiply(solution.x) - graph.gradient();
  findings
      .claim("singular-fisher",
             "∇h lies in the range of F also where F is singular, so F x = ∇h has "
             "a solution.")
      .source("P §5")
      .rows({14})
      .by("<code>fisher(graph)</code>, <code>ConjugateGradient</code>")
      .measured("‖F x − ∇h‖/‖∇h‖, classifier of digits, rank " +
                    std::to_string(rank_of(fisher_of(graph))) + " of " +
                    std::to_string(problem.network.size()),
                number(residual.norm() / graph.gradient().norm()))
      .at_most(1e-6, "2,000 iterations of conjugate gradients");
}

void any_objective(Findings& findings, const Classifier& problem) {
  const auto z = natgrad::outputs(natgrad::Categorical(problem.outputs()));
  const auto reward =
      (0.1 * torch::arange(10, torch::kDouble) - 0.3).index({problem.digits.labels});
  const auto objective =
      -(z.log_softmax(1).gather(1, problem.digits.labels.unsqueeze(1)).squeeze(1) * reward).mean();
  const LossGraph graph(objective, problem.network.parameters());
  findings
      .claim("any-objective",
             "The natural gradient can be applied to any objective of a statistical "
             "model: F belongs to the model's distribution, not to the objective.")
      .formula(
          "F = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>f</sub><sup>⊤</sup>F<sub>R</sub>J<sub>f</sub>, "
          "whatever h is")
      .source("P §4")
      .by("<code>outputs(Categorical(z))</code>, <code>fisher(graph)</code>")
      .measured(
          "‖F of a policy's objective, with rewards of both signs, − F of the likelihood‖/‖·‖",
          relative_error(fisher_of(graph), fisher_of(problem.graph())))
      .at_most(kRounding, kRoundingWords);
}

void run(Findings& findings, const Material& material) {
  const Classifier problem(material, 60, 4);
  const AllScores all(problem);
  findings.text(
      "A classifier of 4 x 4 digits, 16-4-10, on 60 of them: few enough that expectations over the "
      "model's own targets are sums over ten classes, with the gradient or the Hessian of each.");
  two_forms(findings, problem, all);
  joint(findings);
  score(findings, problem, all);
  kinks(findings, material);
  natural_gradient(findings, problem);
  any_objective(findings, problem);
}

}  // namespace
}  // namespace fisher_section

Section fisher() {
  return {"fisher", "The natural gradient and the Fisher matrix", "P §5", fisher_section::run};
}

}  // namespace examples::theory
