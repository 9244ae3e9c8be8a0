// P §3, §9: the generalized Gauss-Newton matrix (GGN), G, against the Hessian H of which it is a
// part. It has no negative curvature, it is better known from few examples, and it is the more
// careful of the two.

#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/graph/marks.h>
#include <torch/torch.h>

#include "theory/matrices.h"
#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace against_hessian_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- Examples one by one: what cancels, and what a subset knows. ----

/// The matrices of single examples, [N, P, P], normalised as means.
struct EachExample {
  Tensor G, H;
  explicit EachExample(const Classifier& problem) {
    std::vector<Tensor> of_G, of_H;
    for (int64_t i = 0; i < problem.digits.count(); ++i) {
      const LossGraph graph(problem.loss_of(i), problem.network.parameters());
      of_G.push_back(gauss_newton_of(graph));
      of_H.push_back(hessian_of_graph(graph));
    }
    G = torch::stack(of_G);
    H = torch::stack(of_H);
  }
};

/// How many of `matrices` have an eigenvalue below -1e-9 of the largest in size.
int64_t indefinite(const Tensor& matrices) {
  const auto values = torch::linalg_eigvalsh(matrices);
  const auto low = std::get<0>(values.min(1)), high = std::get<0>(values.abs().max(1));
  return (low < -1e-9 * high).sum().item<int64_t>();
}

void semi_definite(Findings& findings, const EachExample& each) {
  const int64_t n = each.G.size(0);
  findings
      .claim("psd",
             "For a loss that is convex in z, G is positive semi-definite, and so is every "
             "example's share of it.")
      .formula("v<sup>⊤</sup>G<sub>i</sub>v ≥ 0 for every example i")
      .source("P §3")
      .rows({6})
      .by("<code>gauss_newton(graph)</code> of single examples")
      .care(
          "For a loss that is not convex in z the matrix exists, and may be indefinite; conjugate "
          "gradients then report <code>NegativeCurvature</code>.")
      .measured("examples whose G<sub>i</sub> has a negative eigenvalue",
                double(indefinite(each.G)))
      .at_most(0, "of " + std::to_string(n) + "; below −10<sup>−9</sup> of the largest");
  findings.claim("hessian-is-not-psd", "An example's share of the Hessian has negative curvature.")
      .source("P §3")
      .rows({6})
      .by("<code>hessian(graph)</code> of single examples")
      .measured("share of the examples whose H<sub>i</sub> has a negative eigenvalue",
                double(indefinite(each.H)) / double(n))
      .at_least(0.9, "of " + std::to_string(n) + " digits");
}

/// The share of 60 random subsets B with |S| A_S - |B| A_B indefinite.
double exceeding(const Tensor& each) {
  constexpr int kSubsets = 60;
  const int64_t n = each.size(0);
  std::vector<Tensor> rest;
  for (int k = 0; k < kSubsets; ++k) {
    const auto rows = torch::randperm(n).narrow(0, 0, 1 + k % (n - 1));
    rest.push_back(each.sum(0) - each.index_select(0, rows).sum(0));
  }
  return double(indefinite(torch::stack(rest))) / kSubsets;
}

void no_cancellation(Findings& findings, const EachExample& each) {
  const char* const formula = "|B| v<sup>⊤</sup>C<sub>B</sub>v ≤ |S| v<sup>⊤</sup>C<sub>S</sub>v";
  findings
      .claim("curvature-adds-up",
             "Large curvature on a few examples is reflected in the whole: no "
             "subset's curvature exceeds it, in any direction.")
      .formula(formula)
      .source("P §3")
      .rows({6})
      .by("<code>gauss_newton(graph)</code>")
      .measured("share of 60 random subsets with a direction that violates it", exceeding(each.G))
      .at_most(0, "none");
  findings
      .claim("hessian-cancels",
             "In the Hessian, curvature of some examples cancels that of others.")
      .formula(formula)
      .source("P §3")
      .rows({6})
      .by("<code>hessian(graph)</code>")
      .measured("the same share for the Hessian", exceeding(each.H))
      .at_least(0.9, "nearly all");
}

/// Mean of ‖C_B - C_S‖/‖C_S‖ over random subsets of b examples.
double deviation(const Tensor& each, int64_t b) {
  constexpr int kDraws = 30;
  const auto whole = each.mean(0);
  double sum = 0;
  for (int k = 0; k < kDraws; ++k) {
    const auto rows = torch::randperm(each.size(0)).narrow(0, 0, b);
    sum += relative_error(each.index_select(0, rows).mean(0), whole);
  }
  return sum / kDraws;
}

/// For random directions, √Var/mean of vᵀCᵢv over the examples: the median.
double spread_along_directions(const Tensor& each) {
  const auto v = normal({each.size(1), 300}, 33);
  const auto curvature = (torch::matmul(each, v) * v).sum(1);  // [N, 300]
  return number((curvature.std(0) / curvature.mean(0).abs()).median());
}

void few_examples(Findings& findings, const EachExample& each) {
  const std::vector<int64_t> sizes = {2, 4, 8, 15, 30};
  std::vector<double> b, of_G, of_H, ratios;
  for (const auto size : sizes) {
    b.push_back(double(size));
    of_G.push_back(deviation(each.G, size));
    of_H.push_back(deviation(each.H, size));
    ratios.push_back(of_H.back() / of_G.back());
  }
  Chart chart("What a subset knows of the curvature", "examples in the subset",
              "$\\|C_B - C_S\\|\\,/\\,\\|C_S\\|$, mean of 30 draws");
  findings.chart(chart.line("Gauss-Newton", b, of_G).line("Hessian", b, of_H).log_x().log_y(),
                 "Both fall like 1/√|B|; the Hessian's error is larger at each size.");
  findings
      .claim("robust-from-few",
             "G is estimated more robustly from subsets of the data than the "
             "Hessian.")
      .formula(
          "‖H<sub>B</sub> − H<sub>S</sub>‖/‖H<sub>S</sub>‖ &gt; ‖G<sub>B</sub> − "
          "G<sub>S</sub>‖/‖G<sub>S</sub>‖")
      .source("P §3")
      .by("<code>gauss_newton(graph)</code>, <code>hessian(graph)</code>")
      .measured("smallest ratio of the two errors, H over G, of five sizes",
                *std::ranges::min_element(ratios))
      .at_least(1.05, "above the noise of 30 draws");
  findings
      .claim("scale-of-a-mean",
             "As with the mean of a number that takes both signs: along a direction, the examples' "
             "curvatures scatter more about their mean in the Hessian.")
      .formula("std(v<sup>⊤</sup>C<sub>i</sub>v) / |mean(v<sup>⊤</sup>C<sub>i</sub>v)|")
      .source("P §3")
      .by("<code>gauss_newton(graph)</code>, <code>hessian(graph)</code>")
      .measured("median over 300 directions, H's over G's",
                spread_along_directions(each.H) / spread_along_directions(each.G))
      .at_least(1.2, "above the noise of 300 directions");
}

// ---- Which is the more careful. ----

struct Care {
  double share;   ///< of random directions with dᵀGd > dᵀHd
  double length;  ///< |δ_G|/|δ_H|, both damped alike
};

/// λ is just above what makes the Hessian positive definite.
Care compare(const LossGraph& graph) {
  const auto G = gauss_newton_of(graph), H = hessian_of_graph(graph);
  const double lambda = -1.2 * std::min(0., smallest_eigenvalue(H)) + 1e-3;
  const auto v = normal({G.size(0), 1000}, 37);
  const auto higher = ((v * G.mm(v)).sum(0) > (v * H.mm(v)).sum(0)).to(torch::kDouble);
  const auto length = [&](const natgrad::LinearOperator& C) {
    return number(tight_solver().solve(C + lambda, graph.gradient()).x.norm());
  };
  return {number(higher.mean()),
          length(natgrad::gauss_newton(graph)) / length(natgrad::hessian(graph))};
}

void conservative(Findings& findings, const Material& material) {
  constexpr int kNetworks = 24;
  int higher = 0, shorter = 0;
  std::vector<double> share, length;
  for (int variant = 0; variant < kNetworks; ++variant) {
    const Classifier problem(material, 60, 4, 100 + variant);
    const auto care = compare(problem.graph());
    higher += care.share > 0.5;
    shorter += care.length < 1;
    share.push_back(care.share);
    length.push_back(care.length);
  }
  std::vector<double> networks(kNetworks);
  for (int i = 0; i < kNetworks; ++i) networks[i] = i + 1;
  Chart chart("Gauss-Newton against the Hessian, 24 networks before training", "network",
              "share, ratio");
  findings.chart(
      chart.points("share of directions with $d^\\top G d > d^\\top H d$", networks, share)
          .points("$|\\delta_G|\\,/\\,|\\delta_H|$", networks, length)
          .level("even", 0.5)
          .level("equal length", 1),
      "1,000 random directions each; the steps −(C + λI)<sup>−1</sup>∇h with the λ that "
      "just makes the Hessian positive definite.");
  findings
      .claim("higher-curvature",
             "G models the curvature as higher in most directions than the "
             "Hessian does.")
      .formula("d<sup>⊤</sup>Gd &gt; d<sup>⊤</sup>Hd")
      .source("P §9")
      .by("<code>gauss_newton(graph)</code>, <code>hessian(graph)</code>")
      .care("“Tends to”: a claim about most networks, counted over 24.")
      .measured("networks of 24 where most directions have it", higher)
      .at_least(17, "a fair coin gives 17 of 24 once in 31 times");
  findings
      .claim("smaller-steps",
             "G will often produce smaller, more “conservative” updates than the Hessian.")
      .formula("|δ<sub>G</sub>| &lt; |δ<sub>H</sub>|")
      .source("P §9")
      .by("<code>gauss_newton(graph)</code>, <code>hessian(graph)</code>, "
          "<code>ConjugateGradient</code>")
      .measured("networks of 24 with the shorter step, both damped alike", shorter)
      .at_least(17, "a fair coin gives 17 of 24 once in 31 times");
}

/// ‖G - H‖/‖H‖ with the softmax in the loss, and in the network.
std::pair<double, double> distances(const Classifier& problem) {
  const auto& theta = problem.network.parameters();
  const auto H = hessian_of_graph(problem.graph());
  const auto p = natgrad::outputs(problem.outputs().softmax(1));
  const auto inside = -p.gather(1, problem.digits.labels.unsqueeze(1)).log().mean();
  return {relative_error(gauss_newton_of(problem.graph()), H),
          relative_error(gauss_newton_of(LossGraph(inside, theta)), H)};
}

void split_point(Findings& findings, const Material& material) {
  constexpr int kCases = 60;
  int closer = 0;
  std::vector<double> in_loss, in_network, cases;
  for (int k = 0; k < kCases; ++k) {
    const auto [loss, network] = distances(Classifier(material, 20, 3, 200 + k));
    closer += loss < network;
    in_loss.push_back(loss);
    in_network.push_back(network);
    cases.push_back(k + 1);
  }
  Chart chart("How far G is from the Hessian", "case", "‖G − H‖ / ‖H‖");
  findings.chart(chart.points("softmax in the loss L", cases, in_loss)
                     .points("softmax in the network f", cases, in_network)
                     .log_y(),
                 "60 random networks 16-3-10 on 20 digits.");
  findings
      .claim("softmax-in-loss",
             "As much of the computation as possible should be the loss's: with the "
             "softmax in L, G is closer to the Hessian than with it in f.")
      .formula("‖G<sub>softmax in L</sub> − H‖ &lt; ‖G<sub>softmax in f</sub> − H‖")
      .source("P §3, §8")
      .rows({10})
      .by("<code>outputs(z)</code> marks where the network ends")
      .care("“Slightly closer” (section 8); here it is closer by the factor below.")
      .measured("cases of 60 where it is closer", closer)
      .at_least(57, "all but a few");
  findings.table(
      "The factor", {"", "‖G − H‖/‖H‖, median of 60"},
      {{"softmax in the loss", median(in_loss)}, {"softmax in the network", median(in_network)}});
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "Classifiers of 4 x 4 digits before training, in which much of the Hessian is what G leaves "
      "out; G and H of each digit by itself, of subsets and of all.");
  const EachExample each(Classifier(material, 60, 4));
  semi_definite(findings, each);
  no_cancellation(findings, each);
  few_examples(findings, each);
  conservative(findings, material);
  split_point(findings, material);
}

}  // namespace
}  // namespace against_hessian_section

Section against_hessian() {
  return {"against_hessian", "G against the Hessian", "P §3, §9", against_hessian_section::run};
}

}  // namespace examples::theory
