// P §4: the objective as a KL divergence of distributions, the three forms that it takes by what is
// known of the data, and the way back from a loss to a distribution.

#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/exp_loss.h>
#include <natgrad/likelihoods/exp_loss_over_labels.h>
#include <natgrad/likelihoods/noise_density.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace divergence_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

constexpr double kRounding = 1e-12;
const char* const kRoundingWords = "sums over 8 doses and 2 outcomes";

// ---- Divergences on a finite grid: the doses and outcomes of the beetles. ----

/// Σ q(x, y) log(q(x, y)/p(x, y)), pair by pair, from the definition.
Tensor joint_divergence(const Beetles& beetles, const Tensor& theta) {
  const auto p = 1 / (1 + (-beetles.logits(theta)).exp());
  auto sum = torch::zeros({}, torch::kDouble);
  for (int64_t x = 0; x < 8; ++x) {
    const auto q_x = beetles.weights()[x], q_1 = beetles.share()[x];
    for (const auto& [q, model] : {std::pair(q_1, p[x]), std::pair(1 - q_1, 1 - p[x])}) {
      if (number(q) > 0) sum = sum + q * q_x * ((q * q_x).log() - (model * q_x).log());
    }
  }
  return sum;
}

/// Σ q(x) KL(q(y|x) ‖ p(y|x)), both as the library's Bernoulli distributions.
Tensor expected_divergence(const Beetles& beetles, const Tensor& theta) {
  const natgrad::Bernoulli q(torch::logit(beetles.share())), p(beetles.logits(theta));
  return (beetles.weights() * q.kl(p)).sum();
}

void divergences(Findings& findings) {
  const Beetles beetles;
  const auto theta = Beetles::start();
  findings
      .claim("joint-divergence",
             "The divergence of the joint distributions is the expected divergence "
             "of the conditional ones.")
      .formula(
          "KL(Q<sub>x,y</sub> ‖ P<sub>x,y</sub>(θ)) = E<sub>Q<sub>x</sub></sub>[KL(Q<sub>y|x</sub> "
          "‖ P<sub>y|x</sub>(θ))]")
      .source("P §4, eq. 3")
      .rows({11})
      .by("<code>Bernoulli(z).kl(other)</code>")
      .measured("relative difference", relative_error(expected_divergence(beetles, theta),
                                                      joint_divergence(beetles, theta)))
      .at_most(kRounding, kRoundingWords);
  std::vector<double> differences;
  for (const double slope : {15., 17., 20.}) {
    const auto at = torch::tensor({-30., slope}, torch::kDouble);
    differences.push_back(number(beetles.loss(at) - joint_divergence(beetles, at)));
  }
  const auto [low, high] = std::ranges::minmax(differences);
  findings
      .claim("entropy",
             "With a known q(y|x) the objective differs from the negative log-likelihood by "
             "the entropy of q, which knows no θ.")
      .formula("E<sub>Q</sub>[−log p(y|x,θ)] = KL(Q ‖ P) + H(Q<sub>y|x</sub>)")
      .source("P §4")
      .rows({12})
      .by("<code>nll(Bernoulli(z), q)</code>, targets that are shares")
      .care(
          "KL(δ<sub>y</sub> ‖ P) is infinite for a continuous y; there the objective is meant up "
          "to a "
          "constant.")
      .measured("spread of the difference over three θ", high - low)
      .at_most(kRounding, kRoundingWords);
  const LossGraph graph(beetles.loss(theta), {theta});
  findings
      .claim("divergence-gradient",
             "The gradient of the negative log-likelihood under q is that of the divergence.")
      .formula("∇ E<sub>Q</sub>[−log p] = ∇ KL(Q ‖ P)")
      .source("P §4")
      .rows({12})
      .by("<code>LossGraph::gradient</code>")
      .measured(
          "relative difference",
          relative_error(graph.gradient(), gradient_of(joint_divergence(beetles, theta), {theta})))
      .at_most(1e-10, "differences of logarithms");
}

/// Each beetle by itself, as in a sample of pairs (x, y).
void sample(Findings& findings) {
  const Beetles beetles;
  const auto theta = Beetles::start();
  std::vector<Tensor> doses, outcomes;
  for (int64_t x = 0; x < 8; ++x) {
    const auto n = int64_t(number(beetles.count[x])), k = int64_t(number(beetles.killed[x]));
    doses.push_back(beetles.dose[x].expand({n}));
    outcomes.push_back((torch::arange(n) < k).to(torch::kDouble));
  }
  const auto x = torch::cat(doses), y = torch::cat(outcomes);
  const LossGraph each(natgrad::nll(natgrad::Bernoulli(theta[0] + theta[1] * x), y), {theta});
  const LossGraph shares(beetles.loss(theta), {theta});
  findings
      .claim("sample",
             "With one y for each x in S the objective is that of maximum likelihood: 481 "
             "beetles one by one give what the shares of eight doses do.")
      .formula("h(θ) = −<sup>1</sup>⁄<sub>|S|</sub> Σ<sub>(x,y)∈S</sub> log p(y|x,θ)")
      .source("P §4")
      .rows({12})
      .by("<code>nll(Bernoulli(z), y)</code>")
      .measured("larger relative difference of gradient and G",
                larger(relative_error(each.gradient(), shares.gradient()),
                       relative_error(dense(natgrad::gauss_newton(each)),
                                      dense(natgrad::gauss_newton(shares)))))
      .at_most(1e-11, "481 terms");
}

/// ∇_z L = s p - t and H_L = s F_R, s = Σ t.
void unnormalised(Findings& findings) {
  const auto z = parameter({4, 3}, 41);
  const auto t = torch::rand({4, 3}, torch::kDouble) + 0.1;
  const auto s = t.sum(1, true), p = z.detach().softmax(1);
  const LossGraph graph(torch::nn::functional::cross_entropy(z, t), {z});
  const auto blocks = softmax_metric(p) * s.unsqueeze(2) / 4;
  const auto metric = torch::block_diag(blocks.unbind());
  findings
      .claim("unnormalised-targets",
             "Targets that do not sum to one are no distribution: they weigh "
             "each example by their sum.")
      .formula(
          "∇<sub>z</sub>L = s p − t, &nbsp; H<sub>L</sub> = s F<sub>R</sub>, &nbsp; s = "
          "Σ<sub>k</sub> "
          "t<sub>k</sub>")
      .source("P §4")
      .rows({12})
      .by("<code>cross_entropy(z, t)</code>; <code>nll(Categorical(z), t)</code> refuses them")
      .care("Section 8's “the softmax loss” needs Σy = 1.")
      .measured("larger relative error of the two",
                larger(relative_error(graph.gradient(), ((s * p - t) / 4).view(-1)),
                       relative_error(dense(natgrad::gauss_newton(graph)), metric)))
      .at_most(kRounding, "a few products in double");
}

// ---- From a loss to a distribution. ----

struct OwnLoss {
  std::string name;
  std::function<Tensor(const Tensor& a)> of_difference;  ///< L as a function of y - z
  double Z, fisher;                                      ///< in closed form
};

const std::vector<OwnLoss>& own_losses() {
  const double beta = 1.5;  // |a|^β: Z = 2Γ(1 + 1/β), F_R = β²Γ(2 - 1/β)/Γ(1/β)
  static const std::vector<OwnLoss> losses = {
      {"½(y − z)<sup>2</sup>", [](const Tensor& a) { return 0.5 * a.square(); },
       std::sqrt(2 * std::numbers::pi), 1},
      {"|y − z|<sup>1.5</sup>", [](const Tensor& a) { return a.abs().pow(1.5); },
       2 * std::tgamma(1 + 1 / beta),
       beta * beta * std::tgamma(2 - 1 / beta) / std::tgamma(1 / beta)},
      {"log cosh(y − z)", [](const Tensor& a) { return a.cosh().log(); }, std::numbers::pi, 0.5}};
  return losses;
}

void normalisers(Findings& findings) {
  double of_Z = 0, of_fisher = 0;
  std::vector<std::vector<Json>> rows;
  for (const auto& loss : own_losses()) {
    const natgrad::NoiseDensity density([&](const Tensor& a) { return -loss.of_difference(a); });
    const double Z = std::exp(density.log_normaliser());
    const auto z = torch::tensor({-1., 0.3, 2.}, torch::kDouble);
    const natgrad::ExpLoss r(
        z, [&](const Tensor& y, const Tensor& z) { return loss.of_difference(y - z); });
    const auto fisher = r.fisher_multiply(torch::ones_like(z));
    rows.push_back({loss.name, Z, loss.Z, number(fisher[1]), loss.fisher});
    of_Z = larger(of_Z, std::abs(Z / loss.Z - 1));
    of_fisher = larger(of_fisher, relative_error(fisher, torch::full_like(z, loss.fisher)));
  }
  findings.table("Losses as densities r ∝ exp(−L)",
                 {"L(y, z)", "Z", "in closed form", "F<sub>R</sub>", "in closed form"}, rows);
  findings
      .claim("exp-loss",
             "If exp(−L) has a finite integral, L is the negative log-likelihood of r ∝ "
             "exp(−L).")
      .formula("r(y|z) = exp(−L(y, z))/Z, &nbsp; Z = ∫ exp(−L(y, z)) dy")
      .source("P §4")
      .rows({13})
      .by("<code>ExpLoss(z, L)</code>, <code>NoiseDensity(−L)</code>")
      .care("Z must not depend on z either: else −log r = L + log Z(z) is another objective.")
      .measured("largest relative error of Z", of_Z)
      .at_most(1e-9, "quadrature; eleven digits but at a kink");
  findings
      .claim("exp-loss-fisher", "F<sub>R</sub> of r ∝ exp(−L) is the covariance of ∂L/∂z under r.")
      .formula("F<sub>R</sub> = Cov<sub>r</sub>[∂L/∂z]")
      .source("P §4, §8")
      .rows({13})
      .by("<code>ExpLoss::fisher_multiply</code>")
      .measured("largest relative error of F<sub>R</sub>", of_fisher)
      .at_most(1e-6, "quadrature");
}

/// A loss of three labels and two outputs: the cross-entropy of logits that are functions of z.
void over_labels(Findings& findings) {
  const auto logits = [](const Tensor& z) { return torch::cat({z.tanh(), z.sum(1, true)}, 1); };
  const auto loss = [&](const Tensor& y, const Tensor& z) {
    return -logits(z).log_softmax(1).gather(1, y.unsqueeze(1)).squeeze(1);
  };
  const auto z = normal({4, 2}, 43).requires_grad_();
  const natgrad::ExpLossOverLabels r(z, loss, 3);
  const auto v = normal({4, 2}, 44);
  auto expected = torch::zeros({4, 2}, torch::kDouble);
  for (int64_t y = 0; y < 3; ++y) {
    const auto each = loss(torch::full({4}, y, torch::kLong), z);
    const auto s = gradient_of(-each.sum(), {z}).view({4, 2});  // each row is of its own z
    expected += (-each.detach()).exp().unsqueeze(1) * s * (s * v).sum(1, true);
  }
  findings
      .claim("exp-loss-over-labels",
             "Of several outputs and finitely many labels F<sub>R</sub> of r ∝ exp(−L) is a sum "
             "over these.")
      .formula("F<sub>R</sub> = Σ<sub>y</sub> r(y|z) ∇<sub>z</sub>L ∇<sub>z</sub>L<sup>⊤</sup>")
      .source("P §4, §8")
      .rows({13})
      .by("<code>ExpLossOverLabels(z, L, 3)</code>")
      .measured("relative error of F<sub>R</sub> v", relative_error(r.fisher_multiply(v), expected))
      .at_most(1e-12, "sums of three");
}

void refused(Findings& findings) {
  const auto z = torch::tensor({-1., 0., 2.}, torch::kDouble);
  const auto hinge = [](const Tensor& y, const Tensor& z) { return (1 - y * z).clamp_min(0); };
  const auto of_square = [](const Tensor& y, const Tensor& z) {
    return 0.5 * (y.square() - z).square();
  };
  const auto of_hinge =
      (-hinge(torch::ones_like(z), z)).exp() + (-hinge(-torch::ones_like(z), z)).exp();
  const auto y = torch::linspace(-8, 8, 16001, torch::kDouble).unsqueeze(1);
  const auto of_the_square = (-of_square(y, z)).exp().sum(0) * 1e-3;
  findings.table("Losses that are no negative log-likelihood: Z(z)",
                 {"L(y, z)", "z = −1", "z = 0", "z = 2"},
                 {{"hinge, y = ±1", number(of_hinge[0]), number(of_hinge[1]), number(of_hinge[2])},
                  {"½(y<sup>2</sup> − z)<sup>2</sup>", number(of_the_square[0]),
                   number(of_the_square[1]), number(of_the_square[2])}});
  const auto ratio = [](const Tensor& Z) { return number(Z.max() / Z.min()); };
  findings
      .claim("z-depends-on-z",
             "Of other losses ∫exp(−L) depends on z, and they stand for no distribution.")
      .formula("Z(z) = ∫ exp(−L(y, z)) dy ≠ const")
      .source("P §4")
      .rows({13})
      .by("sums and a Riemann sum here")
      .measured("smaller of the ratios max Z/min Z above",
                smaller(ratio(of_hinge), ratio(of_the_square)))
      .at_least(1.2, "far above quadrature");
  int count = 0;
  const auto refuses = [&](auto loss, const natgrad::Domain& domain) {
    try {
      const natgrad::ExpLoss density(z, loss, domain);
      return 0;
    } catch (const c10::Error&) {
      return 1;
    }
  };
  count += refuses(hinge, natgrad::Domain::values({-1, 1}));
  count += refuses(of_square, natgrad::Domain::real_line());
  count += refuses([](const Tensor& y, const Tensor& z) { return (y - z).abs().log1p(); },
                   natgrad::Domain::real_line());
  findings.claim("no-density-refused", "The library refuses losses that stand for no distribution.")
      .source("P §4")
      .rows({13})
      .by("<code>ExpLoss(z, L)</code>")
      .measured("losses refused, of three: the two above and log(1 + |y − z|)", count)
      .near(3, 0, "all");
}

void run(Findings& findings, const Material&) {
  findings.text(
      "Bliss's beetles: eight doses x of carbon disulphide, q(x) how often each was given, q(y|x) "
      "the share of the beetles killed; p(y|x,θ) by logistic regression. So every sum is over "
      "sixteen pairs.");
  divergences(findings);
  sample(findings);
  unnormalised(findings);
  normalisers(findings);
  over_labels(findings);
  refused(findings);
}

}  // namespace
}  // namespace divergence_section

Section divergence() {
  return {"divergence", "The KL divergence as the objective", "P §4", divergence_section::run};
}

}  // namespace examples::theory
