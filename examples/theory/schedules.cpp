// P §9, eq. 6 and its schedules: what ε = c/i makes of one observation a step, with the shipped
// InverseTime, where it can be followed exactly and on Amari's tanh unit, whose inverse Fisher
// matrix is known; and Amari's adaptive rate.

#include <fmt/format.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/tanh_unit.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/step_control/adaptive_rate.h>
#include <natgrad/step_control/inverse_time.h>
#include <torch/torch.h>

#include <map>
#include <numbers>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace schedules_section {
namespace {

using natgrad::Gaussian, natgrad::InverseTime, natgrad::NaturalGradient, torch::Tensor;

natgrad::NaturalGradientOptions with_schedule(double c) {
  return plain_natural_gradient(1).step_rule(InverseTime(c));
}

// ---- The mean of a Gaussian, where θ_N is linear in the observations. ----

void running_mean(Findings& findings, const Material& material) {
  const auto y = some_digits(material, 300).pixels.mean(1, /*keepdim=*/true);
  const auto mean = torch::full({1}, 3., torch::kDouble).requires_grad_();
  NaturalGradient optimizer({mean}, with_schedule(1));
  double worst = 0;
  for (int64_t i = 0; i < y.size(0); ++i) {
    optimizer.step(natgrad::nll(Gaussian(mean.unsqueeze(0), 0.09), y.narrow(0, i, 1)));
    const auto expected = y.narrow(0, 0, i + 1).mean(0);
    worst = larger(worst, relative_error(mean.detach(), expected));
  }
  findings
      .claim("one-over-i",
             "With ε<sub>i</sub> = 1/i and one observation a step, the natural gradient "
             "on a mean is the running mean of all that was seen.")
      .formula(
          "θ<sub>i+1</sub> = θ<sub>i</sub> − ε<sub>i</sub> F<sup>−1</sup>∇h, &nbsp; "
          "ε<sub>i</sub> = 1/i")
      .source("P §9, eq. 6")
      .rows({34})
      .by("<code>InverseTime(1)</code>")
      .measured("largest relative difference over 300 digits' mean ink", worst)
      .at_most(1e-13, "300 roundings");
}

struct Spread {
  std::vector<double> steps, variance;  ///< Var θ_N/σ²
  double scaled() const { return steps.back() * variance.back(); }
  std::vector<double> scaled_by_steps() const {
    std::vector<double> result;
    for (size_t k = 0; k < steps.size(); ++k) result.push_back(steps[k] * variance[k]);
    return result;
  }
  /// Of the last decade: the change of log Var by log N, with the sign of a fall.
  double order() const {
    return -slope({steps.begin() + steps.size() / 2, steps.end()},
                  {variance.begin() + variance.size() / 2, variance.end()});
  }
};

/// Var θ_N in units of σ² = F⁻¹: many runs at once, the k-th of which sees 1 as its k-th
/// observation and 0 otherwise, and so ends at the weight of the k-th observation in θ_N.
Spread spread_of(double c) {
  constexpr int64_t kSteps = 1000;
  const auto observations = torch::eye(kSteps, torch::kDouble);
  const auto mean = torch::zeros({kSteps}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({mean}, with_schedule(c));
  Spread spread;
  for (int64_t i = 1; i <= kSteps; ++i) {
    optimizer.step(
        natgrad::nll(Gaussian(mean.unsqueeze(0), 0.09), observations.narrow(0, i - 1, 1)));
    if (i % 20 == 0) {
      spread.steps.push_back(double(i));
      spread.variance.push_back(number(mean.detach().square().sum()));
    }
  }
  return spread;
}

void variance_laws(Findings& findings) {
  Chart chart("What a schedule c/i makes of the observations' noise", "N",
              "$N\\,$Var$(\\theta_N)/\\sigma^2$");
  std::map<double, Spread> spreads;
  double worst = 0;
  for (const double c : {0.25, 0.5, 0.75, 1., 2., 4.}) {
    const auto spread = spreads[c] = spread_of(c);
    chart.line(fmt::format("c = {:g}", c), spread.steps, spread.scaled_by_steps());
    if (c > 0.5) worst = larger(worst, std::abs(spread.scaled() / (c * c / (2 * c - 1)) - 1));
  }
  findings.chart(chart.log_x().log_y().level("Cramér and Rao's bound", 1),
                 "The mean of a Gaussian, one observation a step.");
  const char* const by = "<code>InverseTime(c)</code>";
  findings
      .claim("fisher-efficient",
             "ε<sub>i</sub> = 1/i is Fisher-efficient: no estimator has a "
             "smaller variance than F<sup>−1</sup>/N.")
      .formula("N Var θ<sub>N</sub> = F<sup>−1</sup>")
      .source("P §9, Amari (1998)")
      .rows({34})
      .by(by)
      .measured("N Var θ<sub>N</sub>/F<sup>−1</sup> at N = 1,000", spreads[1].scaled())
      .near(1, 1e-10, "rounding");
  findings
      .claim("variance-constant",
             "With c &gt; ½ the schedule converges, with c<sup>2</sup>/(2c − 1) "
             "times the least variance.")
      .formula("N Var θ<sub>N</sub> → <sup>c<sup>2</sup></sup>⁄<sub>(2c − 1)</sub> F<sup>−1</sup>")
      .source("P §9")
      .rows({34})
      .by(by)
      .measured("largest |N Var/limit − 1| at N = 1,000, for c = ¾, 1, 2, 4", worst)
      .at_most(0.05, "terms of order N<sup>1−2c</sup>");
  const auto& half = spreads[0.5];
  const auto middle = half.steps.size() / 2 - 1;
  findings.claim("half-a-rate", "With c = ½ the variance falls like log N/N.")
      .formula("N Var θ<sub>N</sub> = c<sup>2</sup> log N + const")
      .source("P §9")
      .rows({34})
      .by(by)
      .measured("growth of N Var/σ<sup>2</sup> from N = 500 to 1,000",
                half.scaled() - half.scaled_by_steps()[middle])
      .near(0.25 * std::log(2), 1e-3, "terms of order 1/N");
  findings.claim("too-small-a-rate", "With c &lt; ½ it falls like N<sup>−2c</sup> only.")
      .formula("Var θ<sub>N</sub> ∝ N<sup>−2c</sup>")
      .source("P §9, Robbins &amp; Monro (1951)")
      .rows({34})
      .by(by)
      .measured("order of the fall, c = ¼, N from 500 to 1,000", spreads[0.25].order())
      .near(0.5, 0.03, "terms of order 1/N");
}

// ---- Amari's tanh unit, one fresh example a step. ----

/// F of many units at once, W of [R, n]: it knows the inverse.
natgrad::LinearOperator fisher_of_units(const Tensor& W, double noise) {
  std::vector<natgrad::LinearOperator> F, inverse;
  for (const auto& w : W.unbind()) {
    const natgrad::TanhUnit unit(w, noise);
    F.push_back(unit.fisher());
    inverse.push_back(unit.inverse());
  }
  const auto block_by_block = [n = W.size(1)](std::vector<natgrad::LinearOperator> blocks) {
    return [n, blocks = std::move(blocks)](const Tensor& v) {
      std::vector<Tensor> parts;
      for (size_t r = 0; r < blocks.size(); ++r) {
        parts.push_back(blocks[r].multiply(v.narrow(0, int64_t(r) * n, n).contiguous()));
      }
      return torch::cat(parts);
    };
  };
  const auto solve = block_by_block(inverse);
  return natgrad::LinearOperator("tanh units", W.numel(), W.options(), block_by_block(F))
      .with_solve([solve](double, const Tensor& b) { return solve(b); });
}

/// Independent runs of y = tanh(wᵀx) + noise, x ~ N(0, I), each on examples of its own.
struct TanhUnits {
  static constexpr int64_t kRuns = 60, kInputs = 5;
  static constexpr int kSeen = 50;
  static constexpr double kNoise = 0.1;
  const Tensor truth = torch::tensor({0.6, -0.4, 0.3, 0.1, -0.2}, torch::kDouble);

  Tensor loss(const Tensor& W) const {
    const auto x = torch::randn({kRuns, kInputs}, torch::kDouble);
    const auto y = x.mv(truth).tanh() + kNoise * torch::randn({kRuns}, torch::kDouble);
    return natgrad::nll(Gaussian((W * x).sum(1).tanh(), kNoise * kNoise), y, at::Reduction::Sum);
  }
  /// Of (w - w*)ᵀF (w - w*)/n the mean over runs, after each ten steps. The start is as if an
  /// efficient estimator had seen `kSeen` examples, and the schedule goes on from there.
  Spread follow(double c, int until) const {
    const auto F = dense(natgrad::TanhUnit(truth, kNoise).fisher());
    const auto L = torch::linalg_cholesky(F.inverse() / kSeen);
    const auto W =
        (truth + torch::randn({kRuns, kInputs}, torch::kDouble).mm(L.t())).requires_grad_();
    const natgrad::Metric metric("tanh units", [&](const natgrad::ParameterLayout&) {
      return fisher_of_units(W.detach(), kNoise);
    });
    InverseTime rule(c);
    rule.set_state({kSeen});
    NaturalGradient optimizer({W}, plain_natural_gradient(1).curvature(metric).step_rule(rule));
    Spread spread;
    for (int i = kSeen + 1; i <= until; ++i) {
      optimizer.step(loss(W));
      if (i % 10 != 0) continue;
      const auto off = W.detach() - truth;
      spread.steps.push_back(i);
      spread.variance.push_back(number((off.mm(F) * off).sum(1).mean() / kInputs));
    }
    return spread;
  }
};

void tanh_units(Findings& findings) {
  constexpr int kSteps = 350;
  const TanhUnits units;
  Chart chart("Amari's tanh unit, one fresh example a step", "N",
              "$N\\,E[(w-w^*)^\\top F\\,(w-w^*)]\\,/\\,n$");
  for (const double c : {1., 4.}) {
    const auto spread = units.follow(c, kSteps);
    chart.line(fmt::format("c = {:g}", c), spread.steps, spread.scaled_by_steps());
    const double limit = c * c / (2 * c - 1);
    chart.level(fmt::format("limit for c = {:g}", c), limit);
    findings
        .claim(c == 1 ? "amari-efficient" : "amari-four-times-the-rate",
               c == 1 ? "On-line natural gradient learning of a network is Fisher-efficient too: "
                        "Amari's tanh unit, with F<sup>−1</sup> in closed form as the metric."
                      : "At four times that rate it has the constant c<sup>2</sup>/(2c − 1).")
        .formula(
            "N Cov(w<sub>N</sub>) → <sup>c<sup>2</sup></sup>⁄<sub>(2c − 1)</sub> F<sup>−1</sup>")
        .source("P §8, §9, Amari (1998)")
        .rows({27, 34})
        .by("<code>TanhUnit(w, σ).inverse()</code> in a <code>Metric</code>, "
            "<code>InverseTime(c)</code>")
        .measured(fmt::format("N E[(w − w*)<sup>⊤</sup>F(w − w*)]/n at N = {}, {} runs, n = {}",
                              kSteps, TanhUnits::kRuns, TanhUnits::kInputs),
                  spread.scaled())
        .near(limit, 0.25 * limit, "300 numbers: 8% of noise, and terms of order n/N");
  }
  findings.chart(chart,
                 "Started as an efficient estimator stands after 50 examples: full steps on the "
                 "first few would "
                 "leave the region where F at w is F at the teacher's weights.");
}

// ---- A rate that follows the loss. ----

void adaptive(Findings& findings) {
  constexpr double kAlpha = 4, kBeta = 0.1;
  constexpr int kSteps = 4000;
  const double kLeast = std::log(2 * std::numbers::pi);  // of two Gaussians with unit variance
  const auto theta = torch::tensor({1., -0.5}, torch::kDouble).requires_grad_();
  const auto rule =
      natgrad::AdaptiveRate().alpha(kAlpha).beta(kBeta).initial(0.1).least_loss(kLeast);
  NaturalGradient optimizer({theta}, plain_natural_gradient(1).step_rule(rule));
  std::vector<double> t, rate, loss;
  for (int i = 1; i <= kSteps; ++i) {
    const auto before = theta.detach().clone();
    const auto h = natgrad::nll(Gaussian(theta.unsqueeze(0)), torch::zeros({1, 2}, torch::kDouble));
    optimizer.step(h);
    if (i % 100 == 0) {
      t.push_back(i);
      rate.push_back(number((theta.detach() - before).norm() / before.norm()));
      loss.push_back(0.5 * number(before.square().sum()));
    }
  }
  std::vector<double> expected_rate, expected_loss;
  for (const double i : t) {
    expected_rate.push_back(1 / (2 * i));
    expected_loss.push_back((0.5 - 1 / kAlpha) / (kBeta * i));
  }
  findings.chart(Chart("Amari's adaptive rate on a quadratic", "steps t", "rate η, loss h")
                     .line("η", t, rate)
                     .line("1/(2t)", t, expected_rate)
                     .line("h", t, loss)
                     .line("(½ − 1/α)/(βt)", t, expected_loss)
                     .log_x()
                     .log_y(),
                 "α = 4, β = 0.1.");
  findings.claim("adaptive-rate", "Amari's adaptive scheme comes to the best order in t by itself.")
      .formula("η ← η exp{α[β(h − h<sub>min</sub>) − η]}: &nbsp; η → 1/(2t)")
      .source("P §9, Amari (1998)")
      .rows({35})
      .by("<code>AdaptiveRate()</code>")
      .care(
          "“Largely heuristic in nature”, as the paper says: proved for the averaged equations, on "
          "a quadratic.")
      .measured("2tη after 4,000 steps", 2 * t.back() * rate.back())
      .near(1, 0.05, "terms of order log t/t");
}

void run(Findings& findings, const Material& material) {
  findings.text("One fresh observation a step, and rates that fall with the number of steps.");
  running_mean(findings, material);
  variance_laws(findings);
  tanh_units(findings);
  adaptive(findings);
}

}  // namespace
}  // namespace schedules_section

Section schedules() { return {"schedules", "Learning rates", "P §9", schedules_section::run}; }

}  // namespace examples::theory
