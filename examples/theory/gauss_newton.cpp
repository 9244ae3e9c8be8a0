// P §3: the generalized Gauss-Newton matrix (GGN), G, and where it comes from: the Hessian of the
// objective of the linearised network.

#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/diagnostics/local_model.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/torch.h>

#include "theory/matrices.h"
#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace gauss_newton_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- Where G comes from. ----

/// The regression: the lower half of a digit from the upper half.
void classical(Findings& findings, const Material& material) {
  const Completion digits(some_digits(material, 60));
  const Network network(8, 5, 8, material.seed + 5);
  const auto z = network(digits.x);
  const LossGraph graph(natgrad::nll(natgrad::Gaussian(z), digits.y), network.parameters());
  const auto J = jacobian_of(z, network.parameters());
  findings.claim("classical", "For squared error G is the classical Gauss-Newton matrix.")
      .formula("G = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>f</sub><sup>⊤</sup>J<sub>f</sub>")
      .source("P §3")
      .rows({3})
      .by("<code>gauss_newton(graph)</code>, <code>classical_gauss_newton(graph)</code>")
      .measured(
          "larger distance of the two to Jacobians taken row by row",
          larger(relative_error(gauss_newton_of(graph), J.t().mm(J) / 60),
                 relative_error(dense(natgrad::classical_gauss_newton(graph)), J.t().mm(J) / 60)))
      .at_most(kRounding, kRoundingWords);
}

void generalised(Findings& findings, const Classifier& problem) {
  const auto z = problem.outputs();
  const auto& theta = problem.network.parameters();
  const int64_t n = z.size(0), classes = z.size(1);
  const auto J = jacobian_of(z, theta).view({n, classes, -1});
  const auto H_L = softmax_metric(z.detach().softmax(1));
  const auto expected = torch::einsum("nkp,nkl,nlq->pq", {J, H_L, J}) / n;
  const auto G = gauss_newton_of(problem.graph());
  findings
      .claim("ggn",
             "The generalized Gauss-Newton matrix takes the loss's Hessian in z between the "
             "Jacobians.")
      .formula(
          "G = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>f</sub><sup>⊤</sup> H<sub>L</sub> "
          "J<sub>f</sub>, &nbsp; softmax: H<sub>L</sub> = diag(p) − pp<sup>⊤</sup>")
      .source("P §3, eq. 2")
      .rows({6})
      .by("<code>gauss_newton(graph)</code>, by products alone")
      .care("Section 8 says “convex in y”: z is meant, as here.")
      .measured("‖G − mean JᵀH_L J‖/‖·‖", relative_error(G, expected))
      .at_most(kRounding, kRoundingWords);

  const auto slopes = gradient_of(Classifier::loss(z, problem.digits.labels), {z});
  const auto remainder = hessian_of((slopes.view(z.sizes()) * z).sum(), theta);
  const auto H = hessian_of_graph(problem.graph());
  findings
      .claim("hessian-splits",
             "The Hessian is G and a rest that holds the network's own second derivatives.")
      .formula(
          "H = G + <sup>1</sup>⁄<sub>|S|</sub> Σ Σ<sub>j</sub> [∇<sub>z</sub>L]<sub>j</sub> "
          "H<sub>[f]<sub>j</sub></sub>")
      .source("P §3")
      .rows({4})
      .by("<code>hessian(graph)</code>, <code>gauss_newton(graph)</code>")
      .measured("‖G + rest − H‖/‖H‖", relative_error(G + remainder, H))
      .at_most(kRounding, kRoundingWords);
  findings
      .claim("rest-is-no-trifle", "That rest, which G leaves out, is no trifle before training.")
      .formula("‖H − G‖ / ‖H‖")
      .source("P §3")
      .rows({4})
      .by("<code>hessian(graph)</code>, <code>gauss_newton(graph)</code>")
      .measured("‖H − G‖/‖H‖", relative_error(G, H))
      .at_least(0.05, "far above rounding");
  findings.matrices("Gauss-Newton, the Hessian, and what is between them",
                    {{"G", G}, {"H", H}, {"H − G", H - G}});
}

/// h(f̃) with f̃ = f + J δ, differentiated twice in δ.
void linearised(Findings& findings, const Classifier& problem) {
  const auto& theta = problem.network.parameters();
  const auto z = problem.outputs();
  const auto J = jacobian_of(z, theta);
  const auto delta = torch::zeros({J.size(1)}, torch::kDouble).requires_grad_();
  const auto h = Classifier::loss(z.detach() + J.mv(delta).view(z.sizes()), problem.digits.labels);
  const auto graph = problem.graph();
  findings
      .claim("linearised",
             "G is the Hessian of the objective whose network is replaced by its linear "
             "approximation at θ; the gradient is the same.")
      .formula(
          "f̃(x, θ + δ) = f(x, θ) + J<sub>f</sub> δ: &nbsp; ∇<sup>2</sup>h(f̃) = G, &nbsp; "
          "∇h(f̃) = ∇h")
      .source("P §3")
      .rows({5})
      .by("<code>gauss_newton(graph)</code>, <code>LossGraph::gradient</code>")
      .measured("larger relative error of the two",
                larger(relative_error(gauss_newton_of(graph), hessian_of(h, {delta})),
                       relative_error(graph.gradient(), gradient_of(h, {delta}))))
      .at_most(kRounding, kRoundingWords);
}

void products(Findings& findings, const Classifier& problem) {
  const auto graph = problem.graph();
  const auto v = normal({problem.network.size()}, 31);
  const auto z = problem.outputs();
  const auto J = jacobian_of(z, problem.network.parameters()).view({z.size(0), 10, -1});
  const auto Jv = J.matmul(v);
  const auto w = torch::matmul(softmax_metric(z.detach().softmax(1)), Jv.unsqueeze(2)).squeeze(2);
  const auto expected = torch::einsum("nkp,nk->p", {J, w}) / z.size(0);
  findings
      .claim("products",
             "A product with G needs no matrix: a linearised forward pass, H<sub>L</sub>, "
             "and a backward pass.")
      .formula(
          "G v = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>f</sub><sup>⊤</sup>(H<sub>L</sub>("
          "J<sub>f</sub> v))")
      .source("P §3, Schraudolph (2002)")
      .rows({9})
      .by("<code>gauss_newton(graph).multiply(v)</code>")
      .measured("‖product − explicit‖/‖explicit‖",
                relative_error(natgrad::gauss_newton(graph).multiply(v), expected))
      .at_most(kRounding, kRoundingWords);
}

/// M(δ) of a regression, where G has full rank.
void quadratic_model(Findings& findings, const Material& material) {
  const Completion digits(some_digits(material, 60));
  const Network network(8, 4, 8, material.seed + 35);
  const auto loss = [&] { return natgrad::nll(natgrad::Gaussian(network(digits.x)), digits.y); };
  const auto before = network.theta();
  natgrad::NaturalGradient optimizer(network.parameters(),
                                     plain_natural_gradient(1).curvature(natgrad::GaussNewton()));
  optimizer.step(loss());
  const auto delta = network.theta() - before;
  network.assign(before);

  const LossGraph graph(loss(), network.parameters());
  const auto model = natgrad::quadratic_model(graph, natgrad::GaussNewton());
  const auto G = dense(natgrad::gauss_newton(graph));
  const auto& g = graph.gradient();
  const double gain = -0.5 * number(g.dot(torch::linalg_solve(G, g)));
  const char* const by =
      "<code>NaturalGradient</code> with <code>GaussNewton()</code>, "
      "<code>quadratic_model(graph)</code>";
  findings.claim("model-minimiser", "A full step is the minimiser of the local quadratic model.")
      .formula("M(δ) = ½δ<sup>⊤</sup>Gδ + ∇h<sup>⊤</sup>δ + h(θ), &nbsp; δ* = −G<sup>−1</sup>∇h")
      .source("P §3, §9")
      .rows({7})
      .by(by)
      .care("Section 3 prints “the exact minimum G<sup>−1</sup>∇h”; section 9 has the minus.")
      .measured("‖δ − δ*‖/‖δ*‖ against a dense solve",
                relative_error(delta, -torch::linalg_solve(G, g)))
      .at_most(1e-7, "conjugate gradients on a condition up to 10<sup>6</sup>");
  findings
      .claim("model-gain", "What the minimiser promises is half of ∇h<sup>⊤</sup>G<sup>−1</sup>∇h.")
      .formula("M(δ*) − h(θ) = −½∇h<sup>⊤</sup>G<sup>−1</sup>∇h")
      .source("P §3")
      .rows({7})
      .by(by)
      .measured("(M(δ) − h) over that", model.change(delta) / gain)
      .near(1, 1e-9, "a minimum: errors of δ count squared");
  findings.claim("minimiser-as-printed", "The exact minimum of the model is G<sup>−1</sup>∇h.")
      .formula("δ = G<sup>−1</sup>∇h")
      .source("P §3")
      .rows({7})
      .by(by)
      .as_printed()
      .measured("(M(δ) − h) over the least: the model is raised, three times as far",
                model.change(-delta) / gain)
      .near(1, 1e-9, "as for the minimum");
}

void run(Findings& findings, const Material& material) {
  const Classifier problem(material, 80);
  findings.text("A classifier of 4 x 4 digits, 16-8-10 with tanh units: P = " +
                std::to_string(problem.network.size()) +
                " weights, few enough to write every matrix down; 80 digits, before training.");
  classical(findings, material);
  generalised(findings, problem);
  linearised(findings, problem);
  products(findings, problem);
  quadratic_model(findings, material);
}

}  // namespace
}  // namespace gauss_newton_section

Section gauss_newton() {
  return {"gauss_newton", "The generalized Gauss-Newton matrix", "P §3", gauss_newton_section::run};
}

}  // namespace examples::theory
