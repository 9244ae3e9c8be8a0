// P §8, the equivalence: when the Fisher matrix and the generalized Gauss-Newton matrix are one,
// family by family, network by network, and with the split between network and loss moved; and what
// follows: methods that use the one are methods that use the other.

#include <fmt/format.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/exponential_family.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/student_t.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <torch/torch.h>

#include "theory/families.h"
#include "theory/matrices.h"
#include "theory/models.h"
#include "theory/oracles.h"
#include "theory/section.h"

namespace examples::theory {
namespace equivalence_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- Condition (5), family by family. ----

void families(Findings& findings, const Material& material) {
  const auto digits = some_digits(material, 60);
  std::vector<std::vector<Json>> rows;
  int otherwise = 0;
  double largest_natural = 0;
  for (const auto& family : families_of_digits(digits)) {
    const Network network(16, 4, family.width, material.seed + 80);
    const auto loss = natgrad::nll(family.at(network(digits.coarse)), family.targets);
    const auto found = natgrad::equivalence(LossGraph(loss, network.parameters()));
    otherwise += found.holds_for_every_target != family.is_natural;
    const double distance = found.distance.value_or(NAN);
    if (family.is_natural) largest_natural = larger(largest_natural, distance);
    rows.push_back({family.name, family.parameters,
                    std::isfinite(distance) ? Json(distance) : Json("∞, G = 0"),
                    found.holds_for_every_target ? "F&nbsp;=&nbsp;G" : "F&nbsp;≠&nbsp;G",
                    found.terms.front().reason});
  }
  findings.table("‖Fv − Gv‖/‖Gv‖ over random v, a network 16-4-K on 60 digits",
                 {"family", "z is", "distance", "", "why not"}, rows);
  findings
      .claim("natural-parameters",
             "For an exponential family with z its natural parameters, F and G are "
             "one.")
      .formula(
          "log r(y|z) = z<sup>⊤</sup>T(y) − log Z(z): &nbsp; H<sub>log r</sub> = −H<sub>log "
          "Z</sub>, &nbsp; F<sub>R</sub> = H<sub>L</sub>, &nbsp; F = G")
      .source("P §8")
      .rows({31, 32, 33})
      .by("<code>equivalence(graph)</code>")
      .care(
          "Normal with squared error: for a fixed σ<sup>2</sup>I; softmax with cross-entropy: for "
          "targets with Σy = 1.")
      .measured("largest distance of the families with natural parameters", largest_natural)
      .at_most(1e-9, "rounding of four passes in double");
  findings
      .claim("condition-5",
             "F<sub>R</sub> = H<sub>L</sub> is the condition that H<sub>log r</sub> equals "
             "its own expectation; it holds for natural parameters and affine functions "
             "of them, and for no other family here.")
      .formula("E<sub>R<sub>y|z</sub></sub>[H<sub>log r</sub>] = H<sub>log r</sub>")
      .source("P §8, eq. 5")
      .rows({32})
      .by("<code>equivalence(graph)</code>: H<sub>L</sub> at the data's targets and at four sets "
          "of "
          "others")
      .measured("families of the table whose verdict is not what their parameters say", otherwise)
      .at_most(0, "none");
}

void networks_of_all_kinds(Findings& findings, const Material& material) {
  const auto digits = some_digits(material, 40);
  double worst = 0;
  std::vector<std::vector<Json>> rows;
  for (const auto& model : models_of_digits()) {
    const auto loss = Classifier::loss(model.forward(digits.pixels), digits.labels);
    const auto found = natgrad::equivalence(LossGraph(loss, model.parameters));
    rows.push_back({model.name, found.distance.value_or(NAN)});
    worst = larger(worst, found.distance.value_or(NAN));
  }
  findings.table("Softmax outputs of other networks", {"network", "‖Fv − Gv‖/‖Gv‖"}, rows);
  findings.claim("any-network", "F = G with softmax outputs whatever the network.")
      .formula(
          "F = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>f</sub><sup>⊤</sup>F<sub>R</sub>J<sub>f</sub>, "
          "&nbsp; G = <sup>1</sup>⁄<sub>|S|</sub> Σ "
          "J<sub>f</sub><sup>⊤</sup>H<sub>L</sub>J<sub>f</sub>")
      .source("P §8")
      .rows({31})
      .by("<code>equivalence(graph)</code>")
      .measured("largest distance above", worst)
      .at_most(1e-9, "rounding of four passes in double");
}

/// T = (y, -½ vec yyᵀ), by the full matrix and by its lower triangle.
void vec_or_vech(Findings& findings) {
  const auto family = [](bool whole) {
    return natgrad::ExponentialFamilyOptions(whole ? "vec" : "vech")
        .statistics([whole](const Tensor& y) {
          const auto a = y.select(1, 0), b = y.select(1, 1);
          const std::vector<Tensor> vec = {a, b, -a * a / 2, -a * b / 2, -a * b / 2, -b * b / 2};
          const std::vector<Tensor> vech = {a, b, -a * a / 2, -a * b, -b * b / 2};
          return torch::stack(whole ? vec : vech, 1);
        })
        .log_partition([whole](const Tensor& z) {
          const auto p = z.select(1, 2), r = z.select(1, whole ? 5 : 4);
          const auto q = whole ? 0.5 * (z.select(1, 3) + z.select(1, 4)) : z.select(1, 3);
          const auto a = z.select(1, 0), b = z.select(1, 1), det = p * r - q * q;
          return 0.5 * (r * a * a - 2 * q * a * b + p * b * b) / det - 0.5 * det.log();
        });
  };
  const auto smallest = [&](bool whole) {
    const std::vector<double> vec = {0.3, -0.2, 2, 0.5, 0.5, 1}, vech = {0.3, -0.2, 2, 0.5, 1};
    const auto z = torch::tensor(whole ? vec : vech, torch::kDouble).unsqueeze(0).requires_grad_();
    const auto y = torch::tensor({{0.4, 0.1}}, torch::kDouble);
    const LossGraph graph(natgrad::nll(natgrad::ExponentialFamily(z, family(whole)), y), {z});
    const auto values = eigenvalues(fisher_of(graph));
    return number(values[0] / values[-1]);
  };
  findings
      .claim("vec-is-singular",
             "A multivariate normal by Σ<sup>−1</sup>μ and vec Σ<sup>−1</sup> is such "
             "a family, but each entry off the diagonal is there twice: F<sub>R</sub> "
             "is singular.")
      .formula("z = (Σ<sup>−1</sup>μ, vec Σ<sup>−1</sup>), &nbsp; T = (y, −½ vec yy<sup>⊤</sup>)")
      .source("P §8")
      .rows({33})
      .by("<code>ExponentialFamily</code>; <code>NaturalFullGaussian</code> takes vech")
      .measured("smallest over largest eigenvalue of F<sub>R</sub>", std::abs(smallest(true)))
      .at_most(1e-12, "rounding");
  findings
      .claim("vech-is-not",
             "With vech, each entry once, F<sub>R</sub> of a multivariate normal is regular.")
      .formula("z = (Σ<sup>−1</sup>μ, vech Σ<sup>−1</sup>)")
      .source("P §8")
      .rows({33})
      .by("<code>ExponentialFamily</code>, <code>NaturalFullGaussian</code>")
      .measured("smallest over largest eigenvalue of F<sub>R</sub>", smallest(false))
      .at_least(1e-3, "far above rounding");
}

// ---- The split point. ----

struct Split {
  const Classifier& problem;
  const std::vector<Tensor>& theta = problem.network.parameters();

  Tensor one_hot() const { return torch::one_hot(problem.digits.labels, 10).to(torch::kDouble); }
  Tensor fisher() const { return fisher_of(problem.graph()); }
  /// G of -Σ t log p with the softmax in the network.
  Tensor inside(const Tensor& t) const {
    const auto loss = -(t * natgrad::outputs(problem.outputs().softmax(1)).log()).sum(1).mean();
    return gauss_newton_of(LossGraph(loss, theta));
  }
  /// The same with the softmax in the loss.
  Tensor outside(const Tensor& t) const {
    const auto z = natgrad::outputs(problem.outputs());
    return gauss_newton_of(LossGraph((z.exp().sum(1).log() - (t * z).sum(1)).mean(), theta));
  }
};

constexpr auto kByMark = "<code>outputs(z)</code> marks where the network ends";

void one_hot_targets(Findings& findings, const Split& split, const Tensor& F) {
  const auto t = split.one_hot();
  findings
      .claim("softmax-in-loss-is-fisher", "With the softmax in the loss, G is the Fisher matrix.")
      .formula(
          "L(y, z) = −Σ<sub>j</sub> y<sub>j</sub> z<sub>j</sub> + log Σ<sub>j</sub> exp "
          "z<sub>j</sub>")
      .source("P §8")
      .rows({10})
      .by(kByMark)
      .measured("‖G − F‖/‖F‖", relative_error(split.outside(t), F))
      .at_most(kRounding, kRoundingWords);
  const auto inside = split.inside(t),
             empirical = dense(natgrad::empirical_fisher(split.problem.graph()));
  findings
      .claim("softmax-in-network-is-empirical",
             "With the softmax in the network and one-hot targets, G "
             "is the empirical Fisher matrix.")
      .formula(
          "L(y, p) = −Σ<sub>j</sub> y<sub>j</sub> log p<sub>j</sub>, &nbsp; H<sub>L</sub> = "
          "e<sub>y</sub>e<sub>y</sub><sup>⊤</sup>/p<sub>y</sub><sup>2</sup>")
      .source("P §8")
      .rows({10})
      .by(kByMark)
      .measured("‖G − F̄‖/‖F̄‖", relative_error(inside, empirical))
      .at_most(kRounding, kRoundingWords);
  findings
      .claim("softmax-in-network-is-not-fisher",
             "With the softmax in the network G is not the Fisher matrix.")
      .source("P §8")
      .rows({10})
      .by(kByMark)
      .measured("‖G − F‖/‖F‖", relative_error(inside, F))
      .at_least(0.1, "far above rounding");
}

void other_targets(Findings& findings, const Split& split, const Tensor& F) {
  const auto smoothed = 0.9 * split.one_hot() + 0.01;
  const auto scores = smoothed - split.problem.outputs().detach().softmax(1);
  const auto J = jacobian_of(split.problem.outputs(), split.theta).view({60, 10, -1});
  const auto g = torch::einsum("nkp,nk->np", {J, scores});
  findings
      .claim("not-for-smoothed-targets",
             "With the softmax in the network and smoothed targets G is neither.")
      .source("P §8")
      .rows({10})
      .by(kByMark)
      .care("“The empirical Fisher matrix” is so for one-hot targets only.")
      .measured("smaller relative distance to F and to the outer products of the gradients",
                smaller(relative_error(split.inside(smoothed), F),
                        relative_error(split.inside(smoothed), g.t().mm(g) / 60)))
      .at_least(0.01, "far above rounding");
  findings
      .claim("fisher-for-own-targets",
             "With the softmax in the network G is F again where the targets are the model's own "
             "probabilities.")
      .formula(
          "Σ<sub>y</sub> p<sub>y</sub> "
          "e<sub>y</sub>e<sub>y</sub><sup>⊤</sup>/p<sub>y</sub><sup>2</sup> "
          "= diag(1/p)")
      .source("P §8")
      .rows({10})
      .by(kByMark)
      .measured("‖G − F‖/‖F‖",
                relative_error(split.inside(split.problem.outputs().detach().softmax(1)), F))
      .at_most(kRounding, kRoundingWords);
}

void by_probabilities(Findings& findings, const Split& split, const Tensor& F) {
  const auto J_p = jacobian_of(split.problem.outputs().softmax(1), split.theta);
  const auto p = split.problem.outputs().detach().softmax(1).reshape({-1, 1});
  findings
      .claim("fisher-has-no-split",
             "The Fisher matrix does not depend on the split: by probabilities it "
             "is the same.")
      .formula(
          "F = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>p</sub><sup>⊤</sup> diag(1/p) J<sub>p</sub>")
      .source("P §8")
      .rows({10})
      .by("<code>fisher(graph)</code>")
      .measured("relative difference", relative_error(J_p.t().mm(J_p / p) / 60, F))
      .at_most(kRounding, kRoundingWords);
}

void split_point(Findings& findings, const Material& material) {
  const Classifier problem(material, 60, 4);
  const Split split{problem};
  const auto F = split.fisher();
  one_hot_targets(findings, split, F);
  other_targets(findings, split, F);
  by_probabilities(findings, split, F);
  findings.matrices(
      "Where the network ends",
      {{"softmax in the loss: G = F", F},
       {"softmax in the network: G = F̄", split.inside(split.one_hot())},
       {"the same, model's own targets", split.inside(problem.outputs().detach().softmax(1))}});
}

// ---- What follows. ----

void in_disguise(Findings& findings, const Material& material) {
  constexpr int kSteps = 8;
  const auto train = [&](const natgrad::Curvature& curvature) {
    const Classifier problem(material, 100, 6);
    natgrad::NaturalGradient optimizer(problem.network.parameters(),
                                       natgrad::presets::hessian_free().curvature(curvature));
    for (int k = 0; k < kSteps; ++k) optimizer.step([&] { return problem.loss(); });
    return std::pair(problem.network.theta(), Classifier(material, 100, 6).network.theta());
  };
  const auto [by_fisher, start] = train(natgrad::Fisher());
  const auto by_gauss_newton = train(natgrad::GaussNewton()).first;
  findings
      .claim("in-disguise",
             "Methods that use G, such as Hessian-free optimization, are natural gradient "
             "methods in disguise: with F in its place each step is the same.")
      .source("P, abstract and §8")
      .rows({31})
      .by("<code>presets::hessian_free()</code> with <code>Fisher()</code> and with "
          "<code>GaussNewton()</code>")
      .measured(fmt::format("distance of the two after {} steps over the way", kSteps),
                number((by_fisher - by_gauss_newton).norm() / (by_fisher - start).norm()))
      .at_most(1e-6, "rounding, which steps of conjugate gradients make larger");
}

void fitted(Findings& findings, const Material& material) {
  const Completion digits(some_digits(material, 60));
  const Network network(8, 4, 8, material.seed + 85);
  const auto z = network(digits.x);
  const auto distance = [&](const Tensor& y) {
    const auto loss = natgrad::nll(natgrad::Gaussian(z), y);
    return relative_error(fisher_of(LossGraph(loss, network.parameters())),
                          hessian_of(loss, network.parameters()));
  };
  findings
      .claim("heskes", "F can stand for the Hessian: it is the Hessian where the data are fitted.")
      .formula("F = H where ∇<sub>z</sub>L = 0")
      .source("P §8, Heskes (2000)")
      .rows({30})
      .by("<code>fisher(graph)</code>")
      .measured(fmt::format("‖F − H‖/‖H‖ at targets that are met; at the digits' own it is {:.2g}",
                            distance(digits.y)),
                distance(z.detach()))
      .at_most(kRounding, kRoundingWords);
}

void generalising(Findings& findings, const Material& material) {
  const Completion digits(some_digits(material, 60));
  const Network network(8, 4, 8, material.seed + 86);
  const LossGraph graph(natgrad::nll(natgrad::StudentT(network(digits.x), 1., 0.05), digits.y),
                        network.parameters());
  const auto ends = [](const Tensor& C) {
    const auto values = eigenvalues(C);
    return number(values[0] / values[-1]);
  };
  findings.claim("not-convex", "A loss that is not convex in z has an indefinite G.")
      .formula("L = ½(ν + 1) log(1 + (y − z)<sup>2</sup>/(νs<sup>2</sup>))")
      .source("P §8")
      .rows({6})
      .by("<code>gauss_newton(graph)</code> of <code>StudentT(z, ν, s)</code>")
      .care("“The GGN won't be well defined”: the matrix exists; it may be indefinite.")
      .measured("smallest over largest eigenvalue of G", ends(gauss_newton_of(graph)))
      .at_most(-0.01, "far below rounding");
  findings
      .claim("fisher-generalises-ggn",
             "Of such a loss the Fisher matrix of r ∝ exp(−L) is what G could be generalised to: "
             "it is positive semi-definite.")
      .source("P §8")
      .rows({32})
      .by("<code>fisher(graph)</code> of <code>StudentT(z, ν, s)</code>")
      .measured("smallest over largest eigenvalue of F", ends(fisher_of(graph)))
      .at_least(-1e-12, "rounding");
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "The two sides share nothing past J: F v takes the closed F<sub>R</sub> of the outputs' "
      "distribution, which knows no loss; G v takes double backward through the loss, which knows "
      "no distribution.");
  families(findings, material);
  networks_of_all_kinds(findings, material);
  vec_or_vech(findings);
  split_point(findings, material);
  in_disguise(findings, material);
  fitted(findings, material);
  generalising(findings, material);
}

}  // namespace
}  // namespace equivalence_section

Section equivalence() { return {"equivalence", "Fisher = GGN", "P §8", equivalence_section::run}; }

}  // namespace examples::theory
