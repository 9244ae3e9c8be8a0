// P §9, the second half, with §3's approximate minimisers: what damping does to a step, Tikhonov's
// and structural; Levenberg and Marquardt's λ; Hessian-free optimization and Krylov subspace
// descent as those who minimise the quadratic model only approximately.

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/structural_damping.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/graph/hidden_states.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <torch/torch.h>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace damping_section {
namespace {

using natgrad::LossGraph, natgrad::NaturalGradient, torch::Tensor;

// ---- ε against λ. ----

/// A digit's last coarse pixel as a linear function of the upper half; squared error.
struct LinearPixel {
  Tensor x, y;
  explicit LinearPixel(const Material& material) {
    const Completion digits(some_digits(material, 200));
    x = digits.x;
    y = digits.y.select(1, 5);
  }
  /// The step, in F's eigenbasis, over that of rate one without damping.
  Tensor shares(double rate, double lambda, const Tensor& vectors) const {
    const auto step = [&](double r, double l) {
      const auto w = torch::zeros({x.size(1)}, torch::kDouble).requires_grad_();
      NaturalGradient optimizer({w}, plain_natural_gradient(r, l));
      optimizer.step(natgrad::nll(natgrad::Gaussian(x.mv(w)), y));
      return vectors.t().mv(w.detach());
    };
    return step(rate, lambda) / step(1, 0);
  }
};

void eigendirections(Findings& findings, const Material& material) {
  constexpr double kRate = 0.3, kLambda = 0.05;
  const LinearPixel problem(material);
  const auto [values, vectors] =
      torch::linalg_eigh(problem.x.t().mm(problem.x) / problem.x.size(0));
  const auto by_rate = problem.shares(kRate, 0, vectors),
             by_lambda = problem.shares(1, kLambda, vectors);
  findings.chart(
      Chart("The step in the eigendirections of F", "eigenvalue μ of F", "share of the full step")
          .line("ε = 0.3", numbers(values), numbers(by_rate))
          .line("λ = 0.05", numbers(values), numbers(by_lambda))
          .log_x()
          .range(0, 1.05),
      "Linear regression of a pixel on eight others: F has eight eigenvalues.");
  findings.claim("rate-rescales-alike", "A smaller ε affects all eigendirections of F equally.")
      .formula("u<sub>j</sub><sup>⊤</sup>δ = ε u<sub>j</sub><sup>⊤</sup>δ<sub>full</sub>")
      .source("P §9")
      .rows({38})
      .by("<code>NaturalGradientOptions::lr</code>")
      .measured("largest deviation of a share from ε, relative",
                relative_error(by_rate, torch::full_like(by_rate, kRate)))
      .at_most(1e-8, "a solve of condition 10<sup>3</sup>");
  findings
      .claim("damping-does-not",
             "Damping shortens the step the more the less F knows of a direction.")
      .formula(
          "u<sub>j</sub><sup>⊤</sup>δ = <sup>μ<sub>j</sub></sup>⁄<sub>(μ<sub>j</sub> + λ)</sub> "
          "u<sub>j</sub><sup>⊤</sup>δ<sub>full</sub>")
      .source("P §9")
      .rows({38})
      .by("<code>Tikhonov(λ)</code>")
      .measured("deviation of the shares from μ/(μ + λ), relative",
                relative_error(by_lambda, values / (values + kLambda)))
      .at_most(1e-8, "a solve of condition 10<sup>3</sup>");
}

void limits(Findings& findings) {
  const Beetles beetles;
  const auto theta = Beetles::start();
  const LossGraph graph(beetles.loss(theta), {theta});
  const auto F = natgrad::fisher(graph);
  const auto& g = graph.gradient();
  const auto full = torch::linalg_solve(dense(F), g);
  std::vector<double> lambdas, to_natural, to_gradient;
  for (double lambda = 1e-9; lambda < 2e5; lambda *= 10) {
    const auto x = tight_solver().solve(F + lambda, g).x;
    lambdas.push_back(lambda);
    to_natural.push_back(relative_error(x, full));
    to_gradient.push_back(relative_error(lambda * x, g));
  }
  findings.chart(Chart("From the natural gradient to the gradient", "λ", "relative distance")
                     .line("(F + λI)⁻¹∇h from F⁻¹∇h", lambdas, to_natural)
                     .line("λ(F + λI)⁻¹∇h from ∇h", lambdas, to_gradient)
                     .log_x()
                     .log_y(),
                 "Logistic regression on the beetles.");
  const char* const by = "<code>fisher(graph) + λ</code>, <code>Tikhonov(λ)</code>";
  findings.claim("tikhonov-small", "As λ → 0 the damped step becomes the natural gradient.")
      .formula("(F + λI)<sup>−1</sup>∇h = F<sup>−1</sup>∇h + O(λ)")
      .source("P §9")
      .rows({38})
      .by(by)
      .measured("order in λ of the distance",
                slope({lambdas[0], lambdas[1]}, {to_natural[0], to_natural[1]}))
      .near(1, 0.05, "λ = 10<sup>−9</sup>, 10<sup>−8</sup>");
  const auto n = lambdas.size();
  findings.claim("tikhonov-large", "As λ → ∞ the damped step becomes a gradient step.")
      .formula("λ(F + λI)<sup>−1</sup>∇h = ∇h + O(1/λ)")
      .source("P §9")
      .rows({38})
      .by(by)
      .measured("order in 1/λ of the distance",
                -slope({lambdas[n - 2], lambdas[n - 1]}, {to_gradient[n - 2], to_gradient[n - 1]}))
      .near(1, 0.05, "λ = 10<sup>4</sup>, 10<sup>5</sup>");
}

// ---- Structural damping of a recurrent network. ----

/// Reads the rows of a digit one after the other; its hidden states are marked.
struct Recurrent {
  std::vector<Tensor> parameters = {parameter({5, 8 + 5}, 93, 0.4), parameter({5}, 94, 0.1),
                                    parameter({10, 5}, 95, 0.4)};
  /// The states after each row, and the outputs.
  static std::pair<std::vector<Tensor>, Tensor> run(const std::vector<Tensor>& theta,
                                                    const Tensor& pixels) {
    auto h = torch::zeros({pixels.size(0), 5}, torch::kDouble);
    std::vector<Tensor> states;
    for (const auto& row : pixels.view({-1, 8, 8}).unbind(1)) {
      h = torch::linear(torch::cat({row, h}, 1), theta[0], theta[1]).tanh();
      h = natgrad::hidden(h, natgrad::HiddenDistance::TanhCrossEntropy);
      states.push_back(h);
    }
    return {states, torch::linear(h, theta[2])};
  }
};

void structural(Findings& findings, const Material& material) {
  const auto digits = some_digits(material, 20);
  const Recurrent net;
  const auto [before, z] = Recurrent::run(net.parameters, digits.pixels);
  const LossGraph graph(Classifier::loss(z, digits.labels), net.parameters);
  // D(h, h') = -q log q' - (1 - q) log(1 - q'), q = (1 + h)/2, at h' = h, differentiated twice in
  // h'.
  auto distance = torch::zeros({}, torch::kDouble);
  for (const auto& h : before) {
    const auto q = (1 + h.detach()) / 2, moved = (1 + h) / 2;
    distance = distance - (q * moved.log() + (1 - q) * (1 - moved).log()).sum() / digits.count();
  }
  findings
      .claim("structural-damping",
             "Structural damping measures a step by what it does to the hidden "
             "states: S is the Hessian of their distance.")
      .formula(
          "C + λ(I + μS), &nbsp; S = <sup>1</sup>⁄<sub>|S|</sub> Σ J<sub>h</sub><sup>⊤</sup> "
          "H<sub>D</sub> J<sub>h</sub> = ∇<sup>2</sup><sub>δ</sub> D(h(θ), h(θ + δ)) at 0")
      .source("P §9, Martens &amp; Sutskever (2011)")
      .rows({39})
      .by("<code>hidden(h)</code>, <code>structural_matrix(graph)</code>, "
          "<code>StructuralDamping(μ)</code>")
      .measured("‖S − Hessian by double backward‖/‖·‖, eight time steps",
                relative_error(dense(natgrad::structural_matrix(graph)),
                               hessian_of(distance, net.parameters)))
      .at_most(1e-10, "sums of products in double");
}

// ---- Levenberg and Marquardt's λ, and ρ on real training. ----

void reduction_ratio(Findings& findings, const Material& material) {
  constexpr double kLambda = 0.3;
  const LinearPixel problem(material);
  const auto w = torch::zeros({problem.x.size(1)}, torch::kDouble).requires_grad_();
  const auto h = [&] { return natgrad::nll(natgrad::Gaussian(problem.x.mv(w)), problem.y); };
  auto options = plain_natural_gradient(1).curvature(natgrad::GaussNewton());
  options.damping(natgrad::LevenbergMarquardt().initial(kLambda));
  NaturalGradient optimizer({w}, options);
  optimizer.step([&] { return h(); });
  findings
      .claim("rho-is-one",
             "Where h is quadratic the reduction ratio is one: M is taken without the "
             "damping term.")
      .formula("ρ = <sup>h(θ + δ) − h(θ)</sup>⁄<sub>M(δ) − h(θ)</sub>")
      .source("P §9")
      .rows({7, 40})
      .by("<code>LevenbergMarquardt()</code>, <code>summary().ratio</code>")
      .measured("|ρ − 1|, λ = 0.3", std::abs(optimizer.summary().ratio.value_or(NAN) - 1))
      .at_most(1e-10, "a difference of two h");
}

struct Course {
  std::vector<double> steps, loss, ratio, lambda;
};

Course follow(const Classifier& problem, const natgrad::NaturalGradientOptions& options,
              int steps) {
  NaturalGradient optimizer(problem.network.parameters(), options);
  Course course;
  for (int k = 0; k < steps; ++k) {
    optimizer.step([&] { return problem.loss(); });
    const auto& summary = optimizer.summary();
    course.steps.push_back(k);
    course.loss.push_back(summary.loss);
    course.ratio.push_back(summary.ratio.value_or(NAN));
    course.lambda.push_back(summary.lambda);
  }
  return course;
}

/// How many λ are not what the rule makes of the one before.
int64_t departures(const Course& course) {
  int64_t count = 0;
  for (size_t k = 1; k < course.steps.size(); ++k) {
    const double rho = course.ratio[k - 1];
    const double factor = rho > 0.75 ? 2. / 3 : rho < 0.25 || !std::isfinite(rho) ? 1.5 : 1;
    count += std::abs(course.lambda[k] / (factor * course.lambda[k - 1]) - 1) > 1e-12;
  }
  return count;
}

void levenberg_marquardt(Findings& findings, const Material& material) {
  constexpr int kSteps = 40;
  const Classifier problem(material, 150, 6);
  auto options = natgrad::NaturalGradientOptions(1)
                     .curvature(natgrad::GaussNewton())
                     .solver(natgrad::ConjugateGradient());
  options.damping(natgrad::LevenbergMarquardt().initial(0.1));
  const auto course = follow(problem, options, kSteps);
  findings.chart(Chart("Levenberg and Marquardt's damping on the digits", "steps", "h, λ, ρ")
                     .line("loss h", course.steps, course.loss)
                     .line("λ", course.steps, course.lambda)
                     .line("ρ", course.steps, course.ratio)
                     .level("¾", 0.75)
                     .level("¼", 0.25)
                     .log_y(),
                 "150 digits, 16-6-10, the same at each step. Above ¾ λ falls, below ¼ it rises.");
  findings.claim("levenberg-marquardt", "λ follows how well the model foretold the loss.")
      .formula("ρ &gt; ¾: λ ← ⅔λ; &nbsp; ρ &lt; ¼: λ ← <sup>3</sup>⁄<sub>2</sub>λ")
      .source("P §9, Martens (2010)")
      .rows({40})
      .by("<code>LevenbergMarquardt()</code>")
      .measured("steps of 40 whose λ is another than the rule makes of ρ",
                double(departures(course)))
      .at_most(0, "none");
  findings
      .claim("rho-in-training",
             "On real training that keeps the model trustworthy: it foretells most of what a step "
             "gains.")
      .formula("ρ near 1")
      .source("P §9")
      .rows({40})
      .by("<code>LevenbergMarquardt()</code>, <code>summary().ratio</code>")
      .measured("median ρ of 40 steps", median(course.ratio))
      .near(1, 0.5, "between ½ and 1½");
}

// ---- Approximate minimisers of M. ----

void iterations(Findings& findings, const Material& material) {
  const Classifier problem(material, 100, 6);
  const auto graph = problem.graph();
  const auto G = natgrad::gauss_newton(graph) + 1e-3;
  std::vector<double> k, model, length;
  int64_t violations = 0;
  for (int64_t limit = 1; limit <= 40; ++limit) {
    const auto solver = natgrad::ConjugateGradient().max_iterations(limit).tolerance(0);
    const auto delta = solver.solve(G, -graph.gradient()).x;
    const double phi = number(0.5 * delta.dot(G.multiply(delta)) + graph.gradient().dot(delta));
    const double norm = number(delta.norm());
    if (!model.empty()) violations += phi > model.back() || norm < length.back();
    violations += number(graph.gradient().dot(delta)) >= 0;
    k.push_back(double(limit));
    model.push_back(phi);
    length.push_back(norm);
  }
  std::vector<double> reached;
  for (const double phi : model) reached.push_back(phi / model.back());
  findings.chart(Chart("Conjugate gradients on the quadratic model", "iterations", "of the last")
                     .line("M(δₖ) − h, share of the last", k, reached)
                     .line("‖δₖ‖, share of the last", k,
                           [&] {
                             std::vector<double> shares;
                             for (const double norm : length)
                               shares.push_back(norm / length.back());
                             return shares;
                           }()),
                 "100 digits, 16-6-10, λ = 10<sup>−3</sup>.");
  findings
      .claim("approximate-minimisers",
             "Hessian-free optimization and Krylov subspace descent only "
             "approximately minimise M: each iteration lowers it and goes "
             "farther from 0, always downhill.")
      .formula(
          "M(δ<sub>k+1</sub>) ≤ M(δ<sub>k</sub>), &nbsp; ‖δ<sub>k+1</sub>‖ ≥ ‖δ<sub>k</sub>‖, "
          "&nbsp; ∇h<sup>⊤</sup>δ<sub>k</sub> &lt; 0")
      .source("P §3")
      .rows({8})
      .by("<code>ConjugateGradient().max_iterations(k)</code>")
      .care("The norm grows from δ<sub>0</sub> = 0, not from a warm start.")
      .measured("violations in 40 iterations", double(violations))
      .at_most(0, "none");
}

/// Where (φᵢ - φᵢ₋ₖ)/φᵢ < kε first holds, k = max(10, i/10), for the φ of a run without a stop.
int64_t stop_by_the_rule(const natgrad::LinearOperator& A, const Tensor& b, double eps) {
  std::vector<double> phi = {0};
  for (int64_t i = 1; i < 200; ++i) {
    const auto x = natgrad::ConjugateGradient().max_iterations(i).tolerance(0).solve(A, b).x;
    phi.push_back(number(0.5 * x.dot(A.multiply(x)) - b.dot(x)));
    const int64_t k = std::max<int64_t>(10, i / 10);
    if (i > k && phi[i] < 0 && (phi[i] - phi[i - k]) / phi[i] < double(k) * eps) return i;
  }
  return -1;
}

void hessian_free(Findings& findings, const Material& material) {
  constexpr double kProgress = 5e-4;
  const Classifier problem(material, 100, 6);
  const auto graph = problem.graph();
  const auto G = natgrad::gauss_newton(graph) + 1e-2;
  const auto solver =
      natgrad::ConjugateGradient().max_iterations(250).tolerance(0).relative_progress(kProgress);
  const auto stopped = solver.solve(G, -graph.gradient()).summary.iterations;
  findings
      .claim("martens-stop",
             "Martens' rule ends conjugate gradients when an iteration is worth too "
             "little.")
      .formula(
          "φ<sub>i</sub> &lt; 0 and (φ<sub>i</sub> − φ<sub>i−k</sub>)/φ<sub>i</sub> &lt; kε, "
          "&nbsp; "
          "k = max(10, i/10), ε = 5·10<sup>−4</sup>")
      .source("P §3, Martens (2010)")
      .rows({41})
      .by("<code>ConjugateGradient().relative_progress(ε)</code>")
      .measured(fmt::format("iterations, {}, less those of the rule on φ computed apart", stopped),
                double(stopped - stop_by_the_rule(G, -graph.gradient(), kProgress)))
      .near(0, 0, "the same");
  const Classifier trained(material, 150, 6);
  const auto course = follow(trained, natgrad::presets::hessian_free(), 25);
  double rise = 0;
  for (size_t k = 1; k < course.loss.size(); ++k)
    rise = larger(rise, course.loss[k] - course.loss[k - 1]);
  const Classifier other(material, 150, 6);
  const auto krylov = follow(other, natgrad::presets::krylov_subspace_descent(), 14);
  findings.chart(Chart("Two practical methods on the digits", "steps", "h")
                     .line("Hessian-free optimization", course.steps, course.loss)
                     .line("Krylov subspace descent", krylov.steps, krylov.loss)
                     .log_y(),
                 "150 digits, the same at each step, 16-6-10; the presets as they are.");
  findings
      .claim("hessian-free-descends",
             "Hessian-free optimization, with its damping, backtracking and line "
             "search, makes no step that raises h.")
      .source("P §3, §9, Martens (2010)")
      .rows({41})
      .by("<code>presets::hessian_free()</code>")
      .measured("largest rise of h in 25 steps", rise)
      .at_most(0, "on the same examples at each step");
  findings.claim("hessian-free-learns", "Hessian-free optimization fits the digits.")
      .source("P §3, Martens (2010)")
      .rows({41})
      .by("<code>presets::hessian_free()</code>")
      .measured("h after 24 steps over h at the start", course.loss.back() / course.loss.front())
      .at_most(0.05, "a twentieth");
  findings
      .claim("krylov-learns",
             "Krylov subspace descent, whose damping is the subspace and the floor of its "
             "eigenvalues, and which minimises h itself over it, fits them too.")
      .source("P §3, §9, Vinyals &amp; Povey (2012)")
      .rows({42})
      .by("<code>presets::krylov_subspace_descent()</code>")
      .measured("h after 13 steps over h at the start", krylov.loss.back() / krylov.loss.front())
      .at_most(0.05, "a twentieth");
}

void krylov(Findings& findings, const Material& material) {
  constexpr int64_t kDimension = 8;
  const Classifier problem(material, 100, 6);
  const auto graph = problem.graph();
  const auto G = natgrad::gauss_newton(graph);
  const auto b = -graph.gradient();
  const auto solver = natgrad::KrylovSubspace().dimension(kDimension).floor(1e-15);
  const auto alone = solver.solve(G, b);
  const auto conjugate =
      natgrad::ConjugateGradient().max_iterations(kDimension).tolerance(0).solve(G, b).x;
  findings
      .claim("krylov-is-cg",
             "Without the step before, the minimiser over K directions is that of K "
             "iterations of conjugate gradients.")
      .formula("argmin M over span{∇h, G∇h, …, G<sup>K−1</sup>∇h}")
      .source("P §3, Vinyals &amp; Povey (2012)")
      .rows({42})
      .by("<code>KrylovSubspace()</code>, <code>ConjugateGradient()</code>")
      .measured("relative difference, K = 8", relative_error(alone.x, conjugate))
      .at_most(1e-9, "two orthogonalisations of one space");
  double least = 2;
  for (int k = 0; k < 20; ++k) {
    natgrad::LinearSystem system{G, b, normal({b.numel()}, 960 + k)};
    least = smaller(least, solver.solve(system).summary.quadratic / alone.summary.quadratic);
  }
  findings
      .claim("krylov-with-previous", "With the step before in Krylov's subspace M is never higher.")
      .formula("min M over span{∇h, …, G<sup>K−1</sup>∇h, δ<sub>prev</sub>}")
      .source("P §9, Vinyals &amp; Povey (2012)")
      .rows({42})
      .by("<code>KrylovSubspace()</code> with <code>LinearSystem::initial</code>")
      .measured("least (M − h with)/(M − h without), 20 random δ<sub>prev</sub>", least)
      .at_least(1 - 1e-12, "rounding");
  const auto floored = natgrad::KrylovSubspace().dimension(40).floor(1e-2).solve(G, b).x;
  const auto free = natgrad::KrylovSubspace().dimension(40).floor(1e-15).solve(G, b).x;
  findings
      .claim("krylov-damps",
             "Krylov subspace descent has damping of its own: a floor for the eigenvalues in the "
             "subspace.")
      .source("P §9, Vinyals &amp; Povey (2012)")
      .rows({42})
      .by("<code>KrylovSubspace().floor(ε)</code>")
      .measured("‖δ‖ without the floor over ‖δ‖ with 10<sup>−2</sup>, 40 directions",
                number(free.norm() / floored.norm()))
      .at_least(2, "a factor beyond doubt");
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "What keeps a step where its quadratic model can be trusted. Regressions and classifiers of "
      "4 x 4 digits, the same examples at each step.");
  eigendirections(findings, material);
  limits(findings);
  structural(findings, material);
  reduction_ratio(findings, material);
  levenberg_marquardt(findings, material);
  iterations(findings, material);
  krylov(findings, material);
  hessian_free(findings, material);
}

}  // namespace
}  // namespace damping_section

Section damping() { return {"damping", "The role of damping", "P §9", damping_section::run}; }

}  // namespace examples::theory
