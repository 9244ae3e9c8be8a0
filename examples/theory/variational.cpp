// B: variational inference by the natural gradient, of Gaussian and of discrete distributions.

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/diagnostics/units.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/linalg/random.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/variational.h>
#include <torch/torch.h>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace variational_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- Variational inference. ----

/// The target N(m, Λ⁻¹), Λ with equal correlations c off its diagonal of ones.
struct GaussianTarget {
  Tensor precision, mean = torch::tensor({1., -0.5, 2.}, torch::kDouble);
  explicit GaussianTarget(double c) : precision(torch::full({3, 3}, c, torch::kDouble)) {
    precision.fill_diagonal_(1.);
  }
  natgrad::LogJoint log_joint() const {
    return [*this](const Tensor& theta) {
      const auto off = theta - mean;
      return -0.5 * (off.mm(precision) * off).sum(1);
    };
  }
  natgrad::MeanFieldGaussian start() const {
    return {torch::zeros({3}, torch::kDouble), torch::full({3}, 2., torch::kDouble)};
  }
};

void fisher_metric(Findings& findings) {
  const natgrad::MeanFieldGaussian q(torch::tensor({0.3, -1.}, torch::kDouble),
                                     torch::tensor({0.7, 1.5}, torch::kDouble));
  // E_q[score scoreᵀ] by samples would do; a quadrature is exact: Gauss's rule of three points a
  // coordinate, for polynomials of degree five.
  const auto nodes = std::sqrt(3.) * torch::tensor({-1., 0., 1.}, torch::kDouble),
             weights = torch::tensor({1. / 6, 4. / 6, 1. / 6}, torch::kDouble);
  auto expected = torch::zeros({4, 4}, torch::kDouble);
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      const auto mu = q.mean().clone().requires_grad_(),
                 log_sigma = q.standard_deviation().log().requires_grad_();
      const auto point = q.mean() + q.standard_deviation() * torch::stack({nodes[i], nodes[j]});
      const auto log_q = (-0.5 * ((point - mu) / log_sigma.exp()).square() - log_sigma).sum();
      const auto s = gradient_of(log_q, {mu, log_sigma});
      expected += weights[i] * weights[j] * s.outer(s);
    }
  }
  findings
      .claim("fisher-metric",
             "In variational inference a metric comes up naturally: the Fisher metric of "
             "q<sub>θ</sub>.")
      .formula(
          "g<sub>ij</sub>(θ) = E<sub>q<sub>θ</sub></sub>[∂<sub>i</sub>log q<sub>θ</sub> "
          "∂<sub>j</sub>log q<sub>θ</sub>] = diag(σ<sup>−2</sup>, 2) in (μ, log σ)")
      .source("B")
      .rows({53})
      .by("<code>MeanFieldGaussian::fisher_mean_log_std()</code>")
      .measured("relative error against Gauss's quadrature",
                relative_error(dense(q.fisher_mean_log_std()), expected))
      .at_most(1e-12, "nine points, exact for this degree");
}

std::vector<double> errors_of_vi(const GaussianTarget& target, double rate, int steps,
                                 double* variance = nullptr) {
  natgrad::NaturalGradientVI vi(target.log_joint(), target.start(),
                                natgrad::NaturalGradientVIOptions().rate(rate));
  std::vector<double> errors = {relative_error(vi.q().mean(), target.mean)};
  for (int k = 0; k < steps; ++k) {
    vi.step();
    errors.push_back(relative_error(vi.q().mean(), target.mean));
    if (k == 0 && variance)
      *variance = relative_error(vi.q().variance(), 1 / target.precision.diagonal());
  }
  return errors;
}

void variational(Findings& findings) {
  constexpr int kSteps = 25;
  const GaussianTarget weak(0.3), strong(0.8);
  double variance = NAN;
  const auto jacobi = errors_of_vi(weak, 1, kSteps, &variance),
             wild = errors_of_vi(strong, 1, kSteps), halved = errors_of_vi(strong, 0.5, 60);
  std::vector<double> steps(halved.size());
  for (size_t k = 0; k < steps.size(); ++k) steps[k] = double(k);
  const std::vector<double> few(steps.begin(), steps.begin() + kSteps + 1);
  findings.chart(
      Chart("Variational inference by the natural gradient", "steps", "relative error of μ")
          .line("correlation 0.3, ε = 1", few, jacobi)
          .line("correlation 0.8, ε = 1", few, wild)
          .line("correlation 0.8, ε = ½", steps, halved)
          .log_y(),
      "A mean-field Gaussian q on a Gaussian target of three dimensions; correlations are those in "
      "its precision Λ.");
  findings
      .claim("vi-variance",
             "On a Gaussian target one step of rate one gives the variances exactly.")
      .formula("σ<sub>j</sub><sup>2</sup> = 1/Λ<sub>jj</sub>")
      .source("B, Khan &amp; Lin (2017)")
      .rows({53})
      .by("<code>NaturalGradientVI</code>")
      .measured("relative error of σ<sup>2</sup> after one step", variance)
      .at_most(1e-12, "rounding");
  // Jacobi's iteration: the error's factor is I - D⁻¹Λ.
  const auto factor = torch::eye(3, torch::kDouble) - weak.precision;
  auto error = -weak.mean;
  double worst = 0;
  for (int k = 1; k <= kSteps; ++k) {
    error = factor.mv(error);
    worst = larger(worst, std::abs(jacobi[k] - number(error.norm() / weak.mean.norm())));
  }
  findings.claim("vi-is-jacobi", "There μ makes a step of Jacobi's iteration for Λμ = Λm.")
      .formula("μ ← μ + D<sup>−1</sup>Λ(m − μ), &nbsp; D = diag Λ")
      .source("B, Khan &amp; Lin (2017)")
      .rows({53})
      .by("<code>NaturalGradientVI</code>")
      .measured("largest difference of the errors over 25 steps", worst)
      .at_most(1e-12, "rounding");
  findings
      .claim(
          "vi-diverges",
          "That diverges where the spectral radius of I − D<sup>−1</sup>Λ exceeds one, 1.6 here.")
      .source("B, Khan &amp; Lin (2017)")
      .rows({53})
      .by("<code>NaturalGradientVI</code>")
      .measured("growth of the error in the last step, correlation 0.8",
                wild[kSteps] / wild[kSteps - 1])
      .near(1.6, 0.01, "the radius");
  findings.claim("vi-smaller-rate", "With a smaller ε it converges.")
      .source("B, Khan &amp; Lin (2017)")
      .rows({53})
      .by("<code>NaturalGradientVIOptions().rate(ε)</code>")
      .measured("relative error after 60 steps of ε = ½, correlation 0.8", halved.back())
      .at_most(1e-2, "a factor of 0.9 a step");
}

/// A chain of three spins of ±1, x₁x₂ + x₂x₃, by independent spins: mean-field theory.
void discrete(Findings& findings) {
  std::vector<Tensor> states;
  for (int k = 0; k < 8; ++k) {
    const std::vector<double> spins = {k & 1 ? 1. : -1., k & 2 ? 1. : -1., k & 4 ? 1. : -1.};
    states.push_back(torch::tensor(spins, torch::kDouble));
  }
  const auto x = torch::stack(states);
  const auto log_p =
      x.select(1, 0) * x.select(1, 1) + x.select(1, 1) * x.select(1, 2) + 0.3 * x.select(1, 0);
  const auto log_q = [&](const Tensor& fields) { return x.mv(fields); };
  const auto start = torch::tensor({0.1, -0.2, 0.3}, torch::kDouble);
  natgrad::DiscreteVI vi(log_p, log_q, start, natgrad::DiscreteVIOptions().rate(0.5));
  const auto leaf = start.clone().requires_grad_();
  const auto log = log_q(leaf).log_softmax(0);
  auto expected = torch::zeros({3, 3}, torch::kDouble);
  for (int64_t k = 0; k < 8; ++k) {
    const auto s = gradient_of(log[k], {leaf});
    expected += log[k].detach().exp() * s.outer(s);
  }
  findings.claim("discrete-fisher", "For a q over discrete x the metric is a sum over the states.")
      .formula(
          "g<sub>ij</sub> = Σ<sub>x</sub> q<sub>θ</sub>(x) ∂<sub>i</sub>log q<sub>θ</sub>(x) "
          "∂<sub>j</sub>log q<sub>θ</sub>(x)")
      .source("B")
      .rows({53})
      .by("<code>DiscreteVI::fisher()</code>")
      .measured("relative error against eight states one by one",
                relative_error(dense(vi.fisher()), expected))
      .at_most(1e-12, "sums of eight");
  for (int k = 0; k < 60; ++k) vi.step();
  // Mean-field theory: each field is log p's derivative by its spin at the others' means.
  const auto m = vi.theta().tanh();
  const auto fields = torch::stack({m[1] + 0.3, m[0] + m[2], m[1]});
  findings.claim("mean-field", "Natural-gradient steps end at mean-field theory's equations.")
      .formula("θ<sub>i</sub> = Σ<sub>j~i</sub> tanh θ<sub>j</sub> + b<sub>i</sub>")
      .source("B")
      .rows({53})
      .by("<code>DiscreteVI</code>")
      .measured("violation of the equations after 60 steps of ε = ½",
                number((fields - vi.theta()).abs().max()))
      .at_most(1e-8, "linear convergence");
  const auto pairs =
      torch::stack({x.select(1, 0), x.select(1, 1), x.select(1, 2), x.select(1, 0) * x.select(1, 1),
                    x.select(1, 1) * x.select(1, 2)},
                   1);
  natgrad::DiscreteVI whole(
      log_p, [&](const Tensor& t) { return pairs.mv(t); }, torch::zeros({5}, torch::kDouble));
  whole.step();
  findings.claim("discrete-one-step", "A family that holds p is there in one step of rate one.")
      .formula(
          "D(q<sub>θ</sub> ‖ p) = Σ<sub>x</sub> q<sub>θ</sub>(x) log(q<sub>θ</sub>(x)/p(x)) = 0")
      .source("B")
      .rows({53})
      .by("<code>DiscreteVI</code>")
      .measured("D(q ‖ p) after one step, fields and couplings", std::abs(whole.divergence()))
      .at_most(1e-12, "rounding");
}

/// Is it a three or an eight? Logistic regression with a standard normal prior on its 17 weights.
natgrad::LogJoint three_or_eight(const Material& material) {
  const auto digits = some_digits(material, 600);
  const auto both =
      digits.rows((digits.labels == 3).logical_or(digits.labels == 8).nonzero().squeeze(1));
  const auto x = torch::cat({both.coarse, torch::ones({both.count(), 1}, torch::kDouble)}, 1);
  const auto sign = 1 - 2 * (both.labels == 3).to(torch::kDouble);
  return [=](const Tensor& theta) {
    return torch::log_sigmoid(theta.mm(x.t()) * sign).sum(1) - 0.5 * theta.square().sum(1);
  };
}

void few_samples(Findings& findings, const Material& material) {
  constexpr int kSteps = 300;
  const auto log_joint = three_or_eight(material);
  const auto elbo = [&](const natgrad::MeanFieldGaussian& q) {
    const auto at =
        natgrad::expectations_by_sampling(log_joint, q, 2000, natgrad::make_generator(17));
    return number(at.value + q.entropy());
  };
  Chart chart("Bayesian logistic regression, a few samples a step", "steps", "ELBO");
  const auto follow = [&](int64_t pairs, const std::string& label) {
    const auto options = natgrad::NaturalGradientVIOptions()
                             .form(natgrad::VariationalForm::Retracted)
                             .pairs(pairs)
                             .rate(0.1);
    natgrad::NaturalGradientVI vi(
        log_joint, {torch::zeros({17}, torch::kDouble), torch::ones({17}, torch::kDouble)},
        options);
    std::vector<double> steps, values;
    for (int k = 0; k <= kSteps; ++k) {
      if (k % 20 == 0) {
        steps.push_back(k);
        values.push_back(elbo(vi.q()));
      }
      vi.step();
    }
    chart.line(label, steps, values);
    return values.back();
  };
  const double few = follow(5, "five antithetic pairs"), many = follow(200, "200 pairs");
  findings.chart(
      chart,
      "Three or eight, 17 weights with a standard normal prior; both judged by 4,000 samples.");
  findings.claim("vi-few-samples", "On a real posterior a few samples a step are enough.")
      .formula("D(q ‖ p) = log Z − ELBO")
      .source("B")
      .rows({53})
      .by("<code>NaturalGradientVI</code> with <code>VariationalForm::Retracted</code>")
      .measured("nats of the ELBO that five pairs lack to 200, after 300 steps", many - few)
      .at_most(0.2, "a small share of what was gained since the start");
}

void run(Findings& findings, const Material& material) {
  fisher_metric(findings);
  variational(findings);
  discrete(findings);
  few_samples(findings, material);
}

}  // namespace
}  // namespace variational_section

Section variational() {
  return {"variational", "Variational inference: the blog post", "B", variational_section::run};
}

}  // namespace examples::theory
