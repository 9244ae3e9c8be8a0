// P §7: the empirical Fisher matrix F̄, which takes the data's own targets where the Fisher matrix
// takes the model's: what it is, what it costs, how far it is from F while a network learns, and
// what that does to learning, with damping and rate of both tuned alike.

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
namespace empirical_fisher_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- What it is. ----

void definition(Findings& findings, const Classifier& problem) {
  const auto g = gradients_one_by_one(problem);
  const auto expected = g.t().mm(g) / g.size(0);
  const auto graph = problem.graph();
  const auto F = natgrad::empirical_fisher(graph);
  findings
      .claim("empirical-form",
             "The empirical Fisher matrix is the second moment of the examples' own "
             "gradients.")
      .formula(
          "F̄ = <sup>1</sup>⁄<sub>|S|</sub> Σ<sub>(x,y)∈S</sub> ∇log p(y|x,θ) ∇log "
          "p(y|x,θ)<sup>⊤</sup>")
      .source("P §7")
      .rows({23})
      .by("<code>empirical_fisher(graph)</code>")
      .care(
          "The outer Q<sub>x</sub> in the paper's second line is the empirical one. For targets "
          "that are a known distribution "
          "q(y|x), the mean of the outer products is another matrix than the outer product of the "
          "mean.")
      .measured("‖F̄ − mean of outer products‖/‖·‖", relative_error(dense(F), expected))
      .at_most(kRounding, kRoundingWords);
  findings.claim("empirical-psd", "The empirical Fisher matrix remains positive semi-definite.")
      .source("P §7")
      .rows({23})
      .by("<code>empirical_fisher(graph)</code>")
      .measured("smallest eigenvalue over the largest",
                smallest_eigenvalue(dense(F)) / number(eigenvalues(dense(F))[-1]))
      .at_least(-1e-12, "rounding");
  const auto v = normal({problem.network.size()}, 71);
  findings
      .claim("empirical-product",
             "The empirical Fisher matrix is cheap: a product needs one number an example, "
             "g<sub>i</sub>·v, and no matrix.")
      .formula("F̄ v = <sup>1</sup>⁄<sub>|S|</sub> Σ g<sub>i</sub> (g<sub>i</sub>·v)")
      .source("P §7")
      .rows({24})
      .by("<code>empirical_fisher(graph).multiply(v)</code>")
      .measured("‖product − mean of g (g·v)‖/‖·‖",
                relative_error(F.multiply(v), g.t().mv(g.mv(v)) / g.size(0)))
      .at_most(kRounding, kRoundingWords);
  const auto centred = natgrad::empirical_fisher(graph, natgrad::Moment::Centred);
  const auto mean = graph.gradient();
  findings
      .claim("empirical-is-no-covariance",
             "Over the data's targets the mean of the gradients is ∇h, not zero: second moment and "
             "covariance part.")
      .formula("F̄ − Cov = ∇h ∇h<sup>⊤</sup>")
      .source("P §7, N")
      .rows({16})
      .by("<code>empirical_fisher(graph, Moment::Centred)</code>")
      .measured("‖F̄ − Cov − ∇h∇h<sup>⊤</sup>‖/‖∇h∇h<sup>⊤</sup>‖",
                relative_error(dense(F) - dense(centred), mean.outer(mean)))
      .at_most(kRounding, kRoundingWords);
}

/// q(y|x) of the beetles, the share of each dose's that were killed.
void known_targets(Findings& findings) {
  const Beetles beetles;
  const auto theta = Beetles::start();
  const LossGraph graph(beetles.loss(theta), {theta});
  const auto p = beetles.logits(theta).detach().sigmoid(), q = beetles.share();
  const auto X = torch::stack({torch::ones({8}, torch::kDouble), beetles.dose}, 1);
  // E_q[(y - p)²] and (E_q[y - p])² between the Jacobians.
  const auto expected = [&](const Tensor& squared) {
    return X.t().mm((beetles.weights() * squared).unsqueeze(1) * X);
  };
  const auto of_q = expected(q * (1 - p).square() + (1 - q) * p.square());
  const auto over_q = natgrad::empirical_fisher(graph, natgrad::Moment::Uncentred,
                                                natgrad::FisherWeights::OfTheLoss,
                                                natgrad::SoftTargets::Distribution);
  const char* const by = "<code>empirical_fisher(graph, …, SoftTargets::Distribution)</code>";
  findings
      .claim("empirical-over-q",
             "The inner expectation of the empirical Fisher matrix can be over a known "
             "Q<sub>y|x</sub>.")
      .formula("E<sub>Q̂<sub>x</sub></sub>[E<sub>Q<sub>y|x</sub></sub>[∇log p ∇log p<sup>⊤</sup>]]")
      .source("P §7")
      .rows({23})
      .by(by)
      .measured("‖F̄ − sum over 8 doses and 2 outcomes‖/‖·‖", relative_error(dense(over_q), of_q))
      .at_most(kRounding, kRoundingWords);
  findings
      .claim("mean-target-is-another",
             "That is another matrix than the one of the mean gradient under q(y|x), which soft "
             "targets give by default.")
      .formula("E<sub>q</sub>[s s<sup>⊤</sup>] ≠ E<sub>q</sub>[s] E<sub>q</sub>[s]<sup>⊤</sup>")
      .source("P §7")
      .rows({23})
      .by("<code>SoftTargets::Mean</code>, " + std::string(by))
      .measured("relative distance of the second from the first",
                relative_error(dense(natgrad::empirical_fisher(graph)), of_q))
      .at_least(0.1, "far above rounding");
}

void ranks(Findings& findings, const Material& material) {
  std::vector<std::vector<Json>> rows;
  double empirical = 0, fisher = 0;
  for (const int64_t n : {1, 2, 4, 8, 12}) {
    const Classifier problem(material, n);
    const auto graph = problem.graph();
    const auto of_empirical = rank_of(dense(natgrad::empirical_fisher(graph)));
    const auto of_fisher = rank_of(dense(natgrad::fisher(graph)));
    rows.push_back({n, of_empirical, of_fisher, 9 * n});
    empirical = larger(empirical, double(of_empirical) / double(n));
    fisher = larger(fisher, double(of_fisher) / double(9 * n));
  }
  findings.table("Ranks", {"|S|", "rank of F̄", "rank of F", "rank(F<sub>R</sub>)·|S|"}, rows);
  findings.claim("empirical-rank", "The bound on the rank of the empirical Fisher matrix is |S|.")
      .formula("rank F̄ ≤ |S|")
      .source("P §7")
      .rows({23})
      .by("<code>empirical_fisher(graph)</code>")
      .measured("largest rank/|S| above", empirical)
      .at_most(1, "eigenvalues below 10<sup>−10</sup> of the largest count as zero");
  findings
      .claim("fisher-rank",
             "The bound on the rank of the Fisher matrix is rank(F<sub>R</sub>)·|S|, nine times as "
             "much for ten classes.")
      .formula("rank F ≤ rank(F<sub>R</sub>) |S| = (K − 1)|S|")
      .source("P §7")
      .rows({23})
      .by("<code>fisher(graph)</code>")
      .measured("largest rank/(9|S|) above", fisher)
      .near(1, 0, "reached, and not exceeded");
}

void without_a_model(Findings& findings, const Material& material) {
  const Classifier problem(material, 30, 4);
  const auto hinge = [&](const Tensor& z, const Tensor& y) {
    return torch::nn::functional::multi_margin_loss(z, y);
  };
  const LossGraph graph(hinge(natgrad::outputs(problem.outputs()), problem.digits.labels),
                        problem.network.parameters());
  auto expected = torch::zeros({problem.network.size(), problem.network.size()}, torch::kDouble);
  for (int64_t i = 0; i < 30; ++i) {
    const auto g = gradient_of(hinge(problem.network(problem.digits.coarse.narrow(0, i, 1)),
                                     problem.digits.labels.narrow(0, i, 1)),
                               problem.network.parameters());
    expected += g.outer(g) / 30;
  }
  findings
      .claim("empirical-without-model",
             "The empirical Fisher matrix can be applied to objectives that involve no "
             "probabilistic model.")
      .formula(
          "L(y, z) = <sup>1</sup>⁄<sub>K</sub> Σ<sub>k≠y</sub> max(0, 1 − z<sub>y</sub> + "
          "z<sub>k</sub>)")
      .source("P §7")
      .by("<code>empirical_fisher(graph)</code> of <code>outputs(z)</code>")
      .measured("‖F̄ of a hinge loss − mean of outer products‖/‖·‖",
                relative_error(dense(natgrad::empirical_fisher(graph)), expected))
      .at_most(kRounding, kRoundingWords);
}

// ---- While a network learns. ----

struct Along {
  std::vector<double> steps, loss, distance, cosine_of_steps, length;
};

/// F̄ against F along 60 natural-gradient steps; the steps that each would take are damped by a
/// thousandth of its mean eigenvalue.
Along along_training(const Material& material) {
  const Classifier problem(material, 150);
  natgrad::NaturalGradient optimizer(problem.network.parameters(),
                                     natgrad::NaturalGradientOptions().lr(0.3));
  Along along;
  int taken = 0;
  for (const int stop : {0, 2, 5, 10, 20, 30, 45, 60}) {
    for (; taken < stop; ++taken) optimizer.step(problem.loss());
    const auto graph = problem.graph();
    const auto damped = [&](const Tensor& C) {
      const auto lambda = 1e-3 * C.trace() / C.size(0);
      return torch::linalg_solve(C + lambda * torch::eye(C.size(0), torch::kDouble),
                                 -graph.gradient());
    };
    const auto F = dense(natgrad::fisher(graph)), other = dense(natgrad::empirical_fisher(graph));
    along.steps.push_back(taken);
    along.loss.push_back(number(problem.loss()));
    along.distance.push_back(relative_error(other, F));
    along.cosine_of_steps.push_back(cosine(damped(other), damped(F)));
    along.length.push_back(number(damped(other).norm() / damped(F).norm()));
  }
  return along;
}

void follow(Findings& findings, const Material& material) {
  const auto along = along_training(material);
  Chart chart("F̄ against F while the network learns", "natural-gradient steps",
              "loss, ratio, cosine");
  findings.chart(
      chart.line("loss h", along.steps, along.loss)
          .line("‖F̄ − F‖ / ‖F‖", along.steps, along.distance)
          .line("length of F̄'s step over F's", along.steps, along.length)
          .line("cosine of the two steps", along.steps, along.cosine_of_steps)
          .log_y(),
      "150 digits, 16-8-10. As the fit improves, the examples' gradients vanish, F̄ faster "
      "than F, and its steps become too long.");
  findings
      .claim("empirical-distance",
             "The empirical Fisher matrix is not the Fisher matrix, and does not "
             "become it as the data are fitted.")
      .formula("‖F̄ − F‖/‖F‖")
      .source("P §7")
      .by("<code>empirical_fisher(graph)</code>, <code>fisher(graph)</code>")
      .measured("smallest relative distance along training",
                *std::ranges::min_element(along.distance))
      .at_least(0.1, "far above rounding");
  findings
      .claim("empirical-steps-grow",
             "The step of the empirical Fisher matrix leaves that of the Fisher matrix the more "
             "the better the fit.")
      .source("P §7")
      .by("<code>empirical_fisher(graph)</code>, <code>fisher(graph)</code>")
      .measured("length of its step over that of F's, at the end over at the start",
                along.length.back() / along.length.front())
      .at_least(3, "a growth beyond doubt");
}

// ---- In training. ----

struct Run {
  std::vector<double> losses;
  double rate, lambda;
  double last() const { return std::isfinite(losses.back()) ? losses.back() : 1e30; }
};

Run train(const Material& material, const natgrad::Curvature* curvature, double rate,
          double lambda) {
  constexpr int kSteps = 40;
  const Classifier problem(material, 150, 6);
  auto options = natgrad::NaturalGradientOptions(rate)
                     .damping(natgrad::Tikhonov(lambda))
                     .solver(natgrad::Cholesky());
  if (curvature) options.curvature(*curvature);
  natgrad::NaturalGradient natural(problem.network.parameters(), options);
  torch::optim::SGD plain(problem.network.parameters(), torch::optim::SGDOptions(rate));
  Run run{{}, rate, lambda};
  for (int k = 0; k < kSteps; ++k) {
    const auto loss = problem.loss();
    run.losses.push_back(number(loss));
    if (curvature) {
      natural.step(loss);
    } else {
      plain.zero_grad();
      loss.backward();
      plain.step();
    }
  }
  run.losses.push_back(number(problem.loss()));
  return run;
}

/// The best of a grid of rates and dampings, by the last loss.
Run best_of(const Material& material, const natgrad::Curvature* curvature) {
  const std::vector<double> rates =
      curvature ? std::vector<double>{0.1, 0.3, 1} : std::vector<double>{0.1, 0.3, 1, 3, 10};
  const std::vector<double> lambdas =
      curvature ? std::vector<double>{1e-4, 1e-3, 1e-2, 1e-1} : std::vector<double>{0};
  std::optional<Run> best;
  for (const double rate : rates) {
    for (const double lambda : lambdas) {
      const auto run = train(material, curvature, rate, lambda);
      if (!best || run.last() < best->last()) best = run;
    }
  }
  return *best;
}

void in_training(Findings& findings, const Material& material) {
  const natgrad::FisherRows fisher;
  const natgrad::Tonga empirical;  // F̄ by its rows
  const auto of_F = best_of(material, &fisher), of_empirical = best_of(material, &empirical),
             of_gradient = best_of(material, nullptr);
  std::vector<double> steps(of_F.losses.size());
  for (size_t k = 0; k < steps.size(); ++k) steps[k] = double(k);
  const auto label = [](const char* name, const Run& run) {
    return fmt::format("{}: rate {:g}{}", name, run.rate,
                       run.lambda > 0 ? fmt::format(", λ = {:g}", run.lambda) : "");
  };
  Chart chart("Training, each at the best of the same grid of rates and dampings", "steps", "h");
  findings.chart(chart.line(label("Fisher", of_F), steps, of_F.losses)
                     .line(label("empirical Fisher", of_empirical), steps, of_empirical.losses)
                     .line(label("gradient descent", of_gradient), steps, of_gradient.losses)
                     .log_y(),
                 "150 digits at each step, 16-6-10, 40 steps θ − ε(C + λI)<sup>−1</sup>∇h; ε of "
                 "0.1, 0.3, 1 and λ of 10<sup>−4</sup> to "
                 "10<sup>−1</sup> for both matrices, five rates for gradient descent.");
  findings
      .claim("fisher-trains-better",
             "The Fisher matrix, which is G here, performs better as a curvature matrix than the "
             "empirical one.")
      .source("P §7, Schraudolph (2002), Martens (2010)")
      .by("<code>FisherRows()</code>, <code>Tonga()</code>, <code>Tikhonov(λ)</code>")
      .measured("loss after 40 steps, empirical Fisher over Fisher, each at its best",
                of_empirical.last() / of_F.last())
      .at_least(2, "a factor beyond doubt");
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "The empirical Fisher matrix F̄ takes the data's targets where the Fisher matrix F takes the "
      "model's. Classifiers of 4 x 4 digits.");
  const Classifier problem(material, 60, 4);
  definition(findings, problem);
  known_targets(findings);
  ranks(findings, material);
  without_a_model(findings, material);
  follow(findings, material);
  in_training(findings, material);
}

}  // namespace
}  // namespace empirical_fisher_section

Section empirical_fisher() {
  return {"empirical_fisher", "The empirical Fisher matrix", "P §7", empirical_fisher_section::run};
}

}  // namespace examples::theory
