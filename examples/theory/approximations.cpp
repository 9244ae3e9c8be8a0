// P §7: diagonals and blocks of the Fisher matrix and of the empirical one, and TONGA.

#include <fmt/format.h>
#include <natgrad/curvature/blocks.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/curvature/tonga.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/linalg/random.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <natgrad/solvers/cholesky.h>
#include <torch/torch.h>

#include "theory/matrices.h"
#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace approximations_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- Diagonals and TONGA. ----

/// Of (estimate - F_jj)/F_jj, over √(2/M): the rms over entries and independent estimates, and the
/// rms over entries of the estimates' mean, which a bias would keep from falling with their number.
struct DiagonalErrors {
  double of_each, of_mean;
};

constexpr int kEstimates = 80;

DiagonalErrors diagonal_errors(const LossGraph& graph) {
  constexpr int64_t kProbes = 25;
  const auto exact = dense(natgrad::fisher(graph)).diagonal();
  const auto seen = exact > 1e-6 * exact.max();
  double sum = 0;
  Tensor mean = torch::zeros_like(exact);
  for (int k = 0; k < kEstimates; ++k) {
    const auto estimate =
        natgrad::propagated_fisher_diagonal(graph, kProbes, natgrad::make_generator(7, k));
    const auto error = torch::where(seen, (estimate - exact) / exact, 0);
    sum += number(error.masked_select(seen).square().mean());
    mean += error / kEstimates;
  }
  const double bound = std::sqrt(2. / kProbes);
  return {std::sqrt(sum / kEstimates) / bound,
          number(mean.masked_select(seen).square().mean().sqrt()) / bound};
}

void diagonals(Findings& findings, const Classifier& problem) {
  const auto graph = problem.graph();
  const auto g = gradients_one_by_one(problem);
  findings
      .claim("empirical-diagonal",
             "The diagonal of the empirical Fisher matrix is exact and as cheap as "
             "the gradients.")
      .formula("F̄<sub>jj</sub> = <sup>1</sup>⁄<sub>|S|</sub> Σ g<sub>ij</sub><sup>2</sup>")
      .source("P §7")
      .rows({43})
      .by("<code>empirical_fisher_diagonal(graph)</code>")
      .measured("relative error",
                relative_error(natgrad::empirical_fisher_diagonal(graph), g.square().mean(0)))
      .at_most(kRounding, kRoundingWords);
  const auto errors = diagonal_errors(graph);
  findings
      .claim("fisher-diagonal",
             "The diagonal of the standard Fisher matrix can be estimated, and works well in "
             "practice.")
      .formula(
          "E[(J<sup>⊤</sup>B r)<sub>j</sub><sup>2</sup>] = F<sub>jj</sub>, &nbsp; BB<sup>⊤</sup> = "
          "F<sub>R</sub>, &nbsp; std ≤ √(2/M) F<sub>jj</sub>")
      .source("P §7, Chapelle &amp; Erhan (2011), Martens et al. (2012)")
      .rows({43})
      .by("<code>propagated_fisher_diagonal(graph, M)</code>")
      .care("Random signs r: their variance is at most that of normal numbers.")
      .measured("rms relative error over √(2/M), 80 estimates of M = 25 probes", errors.of_each)
      .at_most(1.1, "the bound, and the noise of 80 estimates");
  findings
      .claim("fisher-diagonal-mean",
             "That estimate has no bias: the mean of independent estimates nears the diagonal.")
      .formula("E[(J<sup>⊤</sup>B r)<sub>j</sub><sup>2</sup>] = F<sub>jj</sub>")
      .source("P §7")
      .rows({43})
      .by("<code>propagated_fisher_diagonal(graph, M)</code>")
      .measured("rms relative error of the mean of 80 estimates over √(2/M)", errors.of_mean)
      .at_most(1.3 / std::sqrt(kEstimates), "1/√80, and the noise of that");
}

/// The largest relative error of a block.
double error_of_blocks(const std::vector<Tensor>& blocks, const std::vector<Tensor>& expected) {
  double worst = 0;
  for (size_t b = 0; b < blocks.size(); ++b) {
    worst = larger(worst, relative_error(blocks[b], expected[b]));
  }
  return worst;
}

/// Diagonal blocks of a matrix: the first layer's weights and biases, then the second's.
std::vector<Tensor> layers_of(const Tensor& matrix, const Classifier& problem) {
  const auto& theta = problem.network.parameters();
  const int64_t first = theta[0].numel() + theta[1].numel(), rest = matrix.size(0) - first;
  const auto block = [&](int64_t from, int64_t size) {
    return matrix.narrow(0, from, size).narrow(1, from, size);
  };
  return {block(0, first), block(first, rest)};
}

void blocks(Findings& findings, const Classifier& problem) {
  const auto graph = problem.graph();
  const auto by_layer = natgrad::blocks_by_layer(graph);
  const auto g = gradients_one_by_one(problem);
  const auto empirical = layers_of(g.t().mm(g) / g.size(0), problem);
  findings.claim("empirical-blocks", "The blocks of the empirical Fisher matrix are exact too.")
      .source("P §7")
      .rows({43})
      .by("<code>empirical_fisher_blocks(graph, blocks_by_layer(graph))</code>")
      .measured("largest relative error of a layer's block",
                error_of_blocks(natgrad::empirical_fisher_blocks(graph, by_layer), empirical))
      .at_most(kRounding, kRoundingWords);
  const auto fisher = layers_of(dense(natgrad::fisher(graph)), problem);
  std::vector<double> probes, errors;
  for (const int64_t k : {1, 4, 16, 64, 256}) {
    probes.push_back(double(k));
    double sum = 0;
    for (int draw = 0; draw < 4; ++draw) {
      const auto estimate = natgrad::estimated_fisher_blocks(graph, by_layer, k,
                                                             natgrad::make_generator(77 + k, draw));
      sum += error_of_blocks(estimate, fisher) / 4;
    }
    errors.push_back(sum);
  }
  findings
      .claim("fisher-blocks",
             "Blocks of the standard Fisher matrix can be estimated without bias too.")
      .formula(
          "E[γ<sub>b</sub>γ<sub>b</sub><sup>⊤</sup>] = F<sub>bb</sub>, &nbsp; γ = "
          "J<sup>⊤</sup>B r")
      .source("P §7, Martens et al. (2012)")
      .rows({43})
      .by("<code>estimated_fisher_blocks(graph, blocks, k)</code>")
      .measured("order of the error's fall in k, 1 to 256 draws", -slope(probes, errors))
      .near(0.5, 0.08, "the noise of four estimates");
}

void tonga(Findings& findings, const Classifier& problem) {
  constexpr double kLambda = 1e-3;
  const auto graph = problem.graph();
  const auto F = natgrad::Tonga().at(graph).matrix;
  const auto step = (F + kLambda).solve(graph.gradient());
  const auto g = gradients_one_by_one(problem);
  const auto explicit_matrix =
      g.t().mm(g) / g.size(0) + kLambda * torch::eye(g.size(1), torch::kDouble);
  findings.claim("tonga", "TONGA's system is solved exactly in the space of the examples.")
      .formula("(F̄ + λI)<sup>−1</sup>∇h through an |S| × |S| matrix")
      .source("P §7, Le Roux et al. (2008)")
      .rows({44})
      .by("<code>Tonga()</code>")
      .measured("error against a dense solve of P equations",
                relative_error(step, torch::linalg_solve(explicit_matrix, graph.gradient())))
      .at_most(1e-9, "condition 10<sup>3</sup>");
}

void preconditioner(Findings& findings, const Classifier& problem) {
  constexpr double kLambda = 1e-3;
  const auto graph = problem.graph();
  const auto g = gradients_one_by_one(problem);
  const auto expected = (g.square().mean(0) + kLambda).pow(-0.75);
  const auto v = normal({problem.network.size()}, 73);
  findings
      .claim("hessian-free-preconditioner",
             "The diagonal of the empirical Fisher matrix is the preconditioner of Hessian-free "
             "optimization.")
      .formula("M = (diag F̄ + λ)<sup>−¾</sup>")
      .source("P §7, Martens (2010)")
      .rows({41, 43})
      .by("<code>FisherDiagonal()</code>")
      .measured(
          "relative error of M v",
          relative_error(natgrad::FisherDiagonal().at(graph, kLambda).multiply(v), expected * v))
      .at_most(kRounding, kRoundingWords);
}

void run(Findings& findings, const Material& material) {
  const Classifier problem(material, 60, 4);
  diagonals(findings, problem);
  blocks(findings, problem);
  tonga(findings, problem);
  preconditioner(findings, problem);
}

}  // namespace
}  // namespace approximations_section

Section approximations() {
  return {"approximations", "Diagonals, blocks and low rank", "P §7", approximations_section::run};
}

}  // namespace examples::theory
