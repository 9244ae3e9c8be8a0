// P §9: the natural gradient with ε = 1 as an approximate Newton step: where it is exact, how well
// linear models of h hold along it, and when it is poor.

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/solvers/cholesky.h>
#include <torch/torch.h>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace newton_section {
namespace {

using natgrad::LossGraph, natgrad::NaturalGradient, torch::Tensor;

// ---- Where a step of rate one is exact. ----

/// h, its Newton step and that of reweighted least squares, from textbooks' formulas.
struct BeetleReference {
  Beetles beetles;
  const Tensor X = torch::stack({torch::ones({8}, torch::kDouble), beetles.dose}, 1);

  /// (XᵀWX)⁻¹XᵀW(z + (y - p)/(p(1 - p))), W the weights p(1 - p) q(x).
  Tensor reweighted(const Tensor& theta) const {
    const auto z = X.mv(theta), p = z.sigmoid(), variance = p * (1 - p);
    const auto root = (beetles.weights() * variance).sqrt();
    const auto response = z + (beetles.share() - p) / variance;
    return std::get<0>(torch::linalg_lstsq(root.unsqueeze(1) * X, (root * response).unsqueeze(1),
                                           {}, "gelsd"))
        .squeeze(1);
  }
  Tensor newton(const Tensor& theta) const {
    const auto leaf = theta.detach().clone().requires_grad_();
    const auto z = beetles.logits(leaf);
    const auto h = (beetles.weights() * (z.exp().log1p() - beetles.share() * z)).sum();
    return theta - torch::linalg_solve(hessian_of(h, {leaf}), gradient_of(h, {leaf}));
  }
};

void generalised_linear_model(Findings& findings) {
  // McCullagh & Nelder's estimates, to all their digits.
  const auto certified = torch::tensor({-60.7174545616354, 34.2703257341470}, torch::kDouble);
  const BeetleReference reference;
  const auto theta = torch::zeros({2}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({theta}, plain_natural_gradient(1));
  double to_newton = 0, to_reweighted = 0;
  std::vector<double> steps, errors;
  for (int k = 0; k <= 9; ++k) {
    steps.push_back(k);
    errors.push_back(relative_error(theta.detach(), certified));
    const auto before = theta.detach().clone();
    optimizer.step(reference.beetles.loss(theta));
    if (k > 5) continue;  // later steps are no more than their rounding
    to_newton = larger(to_newton, relative_error(theta.detach(), reference.newton(before)));
    to_reweighted =
        larger(to_reweighted, relative_error(theta.detach(), reference.reweighted(before)));
  }
  findings.chart(
      Chart("Logistic regression on Bliss's beetles, ε = 1", "steps", "relative error of θ")
          .line("natural gradient", steps, errors)
          .log_y(),
      "To the published estimates; each step about doubles the digits, as Newton's do.");
  const char* const by = "<code>presets::natural_gradient(1)</code>, with a tighter solve";
  findings
      .claim("newtons-step",
             "For outputs that are linear in θ and natural parameters, ε = 1 is Newton's "
             "step.")
      .formula("F<sup>−1</sup>∇h = H<sup>−1</sup>∇h")
      .source("P §9")
      .rows({36})
      .by(by)
      .measured("largest relative difference over six steps", to_newton)
      .at_most(1e-9, "condition 10<sup>5</sup>");
  findings
      .claim("reweighted-least-squares", "That step is iteratively reweighted least squares too.")
      .source("P §9")
      .rows({36})
      .by(by)
      .measured("largest relative difference over six steps", to_reweighted)
      .at_most(1e-9, "condition 10<sup>5</sup>");
  findings
      .claim("published-estimates",
             "Natural-gradient steps of ε = 1 end at the published estimates.")
      .formula("θ = (−60.7174545616354, 34.2703257341470)")
      .source("P §9")
      .rows({36})
      .by(by)
      .measured("relative error after nine steps", errors.back())
      .at_most(1e-9, "condition 10<sup>5</sup>");
}

void refinement(Findings& findings) {
  // Whole numbers of degree five (Wampler 1970): all coefficients are one; scaled columns.
  const auto x = torch::arange(21, torch::kDouble);
  const auto X = torch::stack({x.pow(0), x, x.pow(2), x.pow(3), x.pow(4), x.pow(5)}, 1);
  const auto y = X.sum(1), scale = X.norm(2, 0);
  const auto w = torch::zeros({6}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({w}, plain_natural_gradient(1));
  std::vector<double> errors;
  for (int k = 0; k < 3; ++k) {
    optimizer.step(natgrad::nll(natgrad::Gaussian((X / scale).mv(w)), y));
    errors.push_back(number((w.detach() / scale - 1).abs().max()));
  }
  findings.table(
      "Wampler's polynomial of degree 5", {"", "largest error of a coefficient"},
      {{"after one step", errors[0]}, {"after two", errors[1]}, {"after three", errors[2]}});
  findings
      .claim("iterative-refinement",
             "One step solves least squares to the condition of G, and further "
             "ones refine it.")
      .formula("θ<sub>2</sub> = θ<sub>1</sub> − F<sup>−1</sup>∇h(θ<sub>1</sub>)")
      .source("P §9")
      .rows({36})
      .by("<code>presets::natural_gradient(1)</code>, with a tighter solve")
      .measured("error after three steps; condition of G 5·10<sup>6</sup>", errors[2])
      .at_most(1e-9, "rounding times the condition");
}

void rosenbrock(Findings& findings) {
  const auto theta = torch::tensor({-1.2, 1.}, torch::kDouble).requires_grad_();
  const auto h = [&] {
    const auto residuals =
        torch::stack({10 * (theta[1] - theta[0].square()), 1 - theta[0]}).unsqueeze(0);
    return natgrad::nll(natgrad::Gaussian(residuals), torch::zeros({1, 2}, torch::kDouble));
  };
  const auto value = [&] {  // without the Gaussian's constant
    const auto t = theta.detach();
    return 0.5 * number((10 * (t[1] - t[0].square())).square() + (1 - t[0]).square());
  };
  NaturalGradient optimizer({theta}, plain_natural_gradient(1));
  std::vector<double> values = {value()};
  for (int k = 0; k < 2; ++k) {
    optimizer.step(h());
    values.push_back(value());
  }
  findings.table("Rosenbrock's function, ½(100(y − x²)² + (1 − x)²), from (−1.2, 1)", {"step", "h"},
                 {{0, values[0]}, {1, values[1]}, {2, values[2]}});
  findings
      .claim("rosenbrock-solved",
             "ε = 1 may be right where no step lowers h: Rosenbrock's function is "
             "solved in exactly two steps.")
      .source("P §9")
      .rows({37})
      .by("<code>presets::natural_gradient(1)</code>, with a tighter solve")
      .measured("h after two steps", values[2])
      .at_most(1e-20, "rounding");
  findings
      .claim("rosenbrock-rises",
             "On its way h rises a hundredfold: “may often be appropriate” is no promise for each "
             "step.")
      .source("P §9")
      .rows({37})
      .by("<code>LevenbergMarquardt()</code> and <code>LineSearch()</code> would reject that step")
      .measured("h after one step over h before", values[1] / values[0])
      .near(1171.28 / 12.1, 0.01, "1171.28/12.1, worked out on paper");
}

// ---- How long a linear model of h holds. ----

using Objective = std::function<Tensor(const Tensor& theta)>;

/// |h(θ + d) - h(θ) - ∇hᵀd| / |∇hᵀd| for the multiple d of the direction at which the linear model
/// predicts that h falls by `share`.
double linear_error(const Objective& h, const Tensor& theta, const Tensor& gradient,
                    const Tensor& direction, double share) {
  const double before = number(h(theta)), predicted = -share * before;
  const auto d = predicted / number(gradient.dot(direction)) * direction;
  return std::abs((number(h(theta + d)) - before) / predicted - 1);
}

/// Logistic regression that tells one digit from another: 16 coarse pixels and a constant.
struct TwoDigits {
  Tensor x, y;
  TwoDigits(const Digits& digits, int64_t a, int64_t b) {
    const auto both =
        digits.rows((digits.labels == a).logical_or(digits.labels == b).nonzero().squeeze(1));
    x = torch::cat({both.coarse, torch::ones({both.count(), 1}, torch::kDouble)}, 1);
    y = (both.labels == a).to(torch::kDouble);
  }
  Tensor h(const Tensor& theta) const {
    const auto z = x.mv(theta);
    return (z.exp().log1p() - y * z).mean();
  }
};

void linear_model_where_F_is_H(Findings& findings, const Material& material) {
  const auto digits = some_digits(material, 1000);
  int pairs = 0, gradients = 0, random = 0;
  for (int64_t a = 0; a < 10; ++a) {
    for (int64_t b = 0; b < a; ++b) {
      const TwoDigits problem(digits, a, b);
      const auto theta = parameter({17}, 900 + 10 * a + b, 0.3);
      const LossGraph graph(natgrad::nll(natgrad::Bernoulli(problem.x.mv(theta)), problem.y),
                            {theta});
      const auto g = graph.gradient();
      const auto error = [&](const Tensor& direction) {
        return linear_error([&](const Tensor& t) { return problem.h(t); }, theta.detach(), g,
                            direction, 0.05);
      };
      const double natural = error(tight_solver().solve(natgrad::fisher(graph), g).x);
      ++pairs;
      gradients += natural < error(g);
      random += natural < error(normal({17}, 990 + 10 * a + b));
    }
  }
  findings
      .claim("linear-model",
             "Per unit of predicted gain, the linear model of h is more accurate along "
             "the natural gradient than along other directions, where F is the Hessian.")
      .formula("h(θ − ε∇̃h) − h(θ) ≈ −ε ∇̃h<sup>⊤</sup>∇h")
      .source("P §9")
      .by("<code>fisher(graph)</code>, <code>ConjugateGradient</code>")
      .care(
          "The paper gives it as an intuition, not a claim. To second order it is the inequality "
          "of "
          "Cauchy and Schwarz, (g<sup>⊤</sup>g)<sup>2</sup> ≤ g<sup>⊤</sup>Fg · "
          "g<sup>⊤</sup>F<sup>−1</sup>g.")
      .measured(fmt::format("smaller of the counts against the gradient and against a random "
                            "direction, of {} pairs of digits",
                            pairs),
                smaller(gradients, random))
      .at_least(0.9 * pairs, "nine of ten");
}

/// Shares of the networks for which the linear model is better along (F + λI)⁻¹g than along g.
double linear_model_of_networks(const Material& material, double lambda, int networks) {
  int better = 0;
  for (int variant = 0; variant < networks; ++variant) {
    const Classifier problem(material, 60, 4, 300 + variant);
    const auto graph = problem.graph();
    const auto g = graph.gradient();
    const auto error = [&](const Tensor& direction) {
      return linear_error([&](const Tensor& t) { return problem.loss_at(t); },
                          problem.network.theta(), g, direction, 0.05);
    };
    better += error(natgrad::Cholesky().solve(natgrad::fisher(graph) + lambda, g).x) < error(g);
  }
  return double(better) / networks;
}

void linear_model_of_a_network(Findings& findings, const Material& material) {
  constexpr int kNetworks = 30;
  std::vector<double> lambdas = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1}, shares;
  for (const double lambda : lambdas)
    shares.push_back(linear_model_of_networks(material, lambda, kNetworks));
  findings.chart(Chart("Is the linear model better along the damped natural gradient?", "λ",
                       "share of 30 networks")
                     .line("better than along ∇h", lambdas, shares)
                     .log_x()
                     .range(0, 1.05),
                 "At a predicted fall of h by 5%, networks 16-4-10 before training.");
  findings
      .claim("linear-model-damped",
             "For networks the linear model is more accurate along the damped natural gradient.")
      .source("P §9")
      .by("<code>fisher(graph) + λ</code>")
      .care(
          "Without, along directions that F barely knows, the network itself bends first: see the "
          "chart.")
      .measured("share of 30 networks, λ = 0.1", shares.back())
      .at_least(0.9, "nine of ten");
}

// ---- When it is poor. ----

void very_large(Findings& findings, const Material& material) {
  const Classifier problem(material, 60, 6);
  const auto graph = problem.graph();
  const auto F = natgrad::from_dense(dense(natgrad::fisher(graph)));
  const double before = number(problem.loss());
  const auto theta = problem.network.theta();
  const auto after = [&](double lambda, double rate) {
    const auto step = natgrad::Cholesky().solve(F + lambda, graph.gradient()).x;
    return number(problem.loss_at(theta - rate * step));
  };
  std::vector<double> values, by_rate, by_lambda;
  constexpr double kBarely = 1e-8;
  for (double value = 1e-5; value < 1.5; value *= std::sqrt(10.)) {
    values.push_back(value);
    by_rate.push_back(after(kBarely, value) / before);
    by_lambda.push_back(after(value, 1) / before);
  }
  findings.chart(
      Chart("One step, shortened by ε or by λ", "ε, λ", "h after over h before")
          .line("θ − ε F⁻¹∇h", values, by_rate)
          .line("θ − (F + λI)⁻¹∇h", values, by_lambda)
          .level("no gain", 1)
          .log_x()
          .log_y(),
      "A network 16-6-10 before training, 60 digits; “F<sup>−1</sup>” with λ = 10<sup>−8</sup>.");
  findings
      .claim("poor-proposals",
             "With very small eigenvalues of F the natural gradient can be very large, "
             "and a very poor proposal.")
      .formula("h(θ − F<sup>−1</sup>∇h) ≫ h(θ)")
      .source("P §9")
      .by("<code>fisher(graph)</code>, <code>ConjugateGradient</code>")
      .measured("h after a full step over h before", after(kBarely, 1) / before)
      .at_least(2, "a rise beyond doubt");
  findings
      .claim("rescaling-is-crude", "To rescale the update by ε is too crude: damping gains more.")
      .formula(
          "max<sub>λ</sub> [h(θ) − h(θ − (F + λI)<sup>−1</sup>∇h)] &gt; max<sub>ε</sub> [h(θ) − "
          "h(θ − εF<sup>−1</sup>∇h)]")
      .source("P §9")
      .by("<code>fisher(graph) + λ</code>")
      .measured(
          "largest gain by damping over largest gain by rescaling",
          (1 - *std::ranges::min_element(by_lambda)) / (1 - *std::ranges::min_element(by_rate)))
      .at_least(2, "a factor beyond doubt");
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "The rate ε = 1, for which F = G makes the natural gradient a step of an approximate Newton "
      "method: exact here, poor there.");
  generalised_linear_model(findings);
  refinement(findings);
  rosenbrock(findings);
  linear_model_where_F_is_H(findings, material);
  linear_model_of_a_network(findings, material);
  very_large(findings, material);
}

}  // namespace
}  // namespace newton_section

Section newton() {
  return {"newton", "The natural gradient as an approximate Newton step", "P §9",
          newton_section::run};
}

}  // namespace examples::theory
