// P §10: what a method's way through the model's distributions has to do with the parameters that
// the model is written in, θ = g(γ).

#include <fmt/format.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/diagnostics/invariance.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/solvers/cholesky.h>
#include <torch/torch.h>
#include <limits>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace invariance_section {
namespace {

// How many times the distance of those that meet is that of those that do not, at the smallest ε.
constexpr double kApart = 10;

using natgrad::LossGraph, torch::Tensor;

/// Is a digit odd? By the ink of its four quarters, standardised, and two tanh units: fewer weights
/// than examples, and a loss that stays well above zero.
struct Odd {
  Tensor x, y;
  Network network;

  explicit Odd(const Material& material) : network(4, 2, 1, material.seed + 100) {
    const auto digits = some_digits(material, 300);
    const auto ink = torch::avg_pool2d(digits.pixels.view({-1, 1, 8, 8}), 4).view({-1, 4});
    x = (ink - ink.mean(0)) / ink.std(0);
    y = digits.labels.remainder(2).to(torch::kDouble).unsqueeze(1);
  }
  Tensor loss_of(const Tensor& z) const { return natgrad::nll(natgrad::Bernoulli(z), y); }
  Tensor loss_at(const Tensor& theta) const { return loss_of(network.at(theta, x)); }
  Tensor loss() const { return loss_of(network(x)); }
};

// ---- The matrices, at one θ. ----

/// γ with g(γ) = θ, as leaves.
struct Point {
  Tensor theta, gamma, J;
  Point(const Odd& problem, const natgrad::Reparametrisation& g)
      : theta(problem.network.theta().requires_grad_()),
        gamma(g.inverse(theta.detach()).detach().requires_grad_()),
        J(jacobian_of(g.forward(gamma), {gamma})) {}
};

/// Of the loss by θ, and by γ.
std::pair<LossGraph, LossGraph> both_graphs(const Odd& problem, const natgrad::Reparametrisation& g,
                                            const Point& at) {
  return {LossGraph(problem.loss_at(at.theta), {at.theta}),
          LossGraph(problem.loss_at(g.forward(at.gamma)), {at.gamma})};
}

/// s(-1)ⁱ: an A of both signs.
Tensor alternating(const Tensor& v) {
  const auto signs = (1 - 2 * torch::arange(v.size(0)).remainder(2)).to(torch::kDouble);
  return v * (signs.view({-1, 1}) + 0.3) / v.size(0);
}

/// All matrices but the Hessian are Jᵀ A J.
struct Named {
  std::string name;
  std::function<natgrad::LinearOperator(const LossGraph&)> matrix;
};

std::vector<Named> named_matrices() {
  const auto indefinite = [](const LossGraph& graph) {
    return natgrad::pulled_back(graph, [](auto jv) {
      for (auto& v : jv) v = alternating(v);
      return jv;
    });
  };
  return {{"Fisher", [](auto& graph) { return natgrad::fisher(graph); }},
          {"Gauss-Newton", [](auto& graph) { return natgrad::gauss_newton(graph); }},
          {"empirical Fisher, A of rank one",
           [](auto& graph) { return natgrad::empirical_fisher(graph); }},
          {"J<sup>⊤</sup>AJ, A of both signs", indefinite},
          {"Hessian", [](auto& graph) { return natgrad::hessian(graph); }}};
}

void matrices(Findings& findings, const Odd& problem) {
  const auto g = natgrad::Elementwise::sinh(0.5);
  const Point at(problem, g);
  const auto [of_theta, of_gamma] = both_graphs(problem, g, at);
  double matrices = 0, directions = 0;
  std::vector<std::vector<Json>> rows;
  for (const auto& [name, matrix] : named_matrices()) {
    const auto C = dense(matrix(of_theta)), C_gamma = dense(matrix(of_gamma));
    const double change = relative_error(C_gamma, at.J.t().mm(C).mm(at.J));
    const auto d_theta = torch::linalg_solve(C, -of_theta.gradient()),
               d_gamma = torch::linalg_solve(C_gamma, -of_gamma.gradient());
    const double direction = relative_error(at.J.mv(d_gamma), d_theta);
    rows.push_back({name, change, direction});
    if (name == "Hessian") continue;
    matrices = larger(matrices, change);
    directions = larger(directions, direction);
  }
  findings.table("θ = ½ sinh 2γ, element by element; a network 4-2-1, 300 digits",
                 {"C", "‖C<sub>γ</sub> − J<sub>g</sub><sup>⊤</sup>CJ<sub>g</sub>‖",
                  "‖J<sub>g</sub>d<sub>γ</sub> − d<sub>θ</sub>‖"},
                 rows);
  findings
      .claim("pulled-back",
             "Every curvature matrix of the form E[J<sub>f</sub><sup>⊤</sup>AJ<sub>f</sub>] "
             "changes with the parameters as a metric does.")
      .formula(
          "C<sub>θ</sub> = E[J<sub>f</sub><sup>⊤</sup>AJ<sub>f</sub>]: &nbsp; C<sub>γ</sub> = "
          "J<sub>g</sub><sup>⊤</sup>C<sub>θ</sub>J<sub>g</sub>")
      .source("P §10, eq. 9")
      .rows({45})
      .by("<code>pulled_back(graph, A)</code>, <code>fisher</code>, <code>gauss_newton</code>, "
          "<code>empirical_fisher</code>")
      .care(
          "“Arbitrary invertible A”: A need not be, the empirical Fisher matrix's has rank one; C "
          "has to "
          "be. The mean over S in the Hessian's formula is of a constant.")
      .measured("largest relative difference of the first four", matrices)
      .at_most(1e-10, "products in double");
  findings
      .claim("same-direction", "Their directions, seen as vectors in the same space, are the same.")
      .formula("J<sub>g</sub> d<sub>γ</sub> = d<sub>θ</sub>, &nbsp; d = −C<sup>−1</sup>∇h")
      .source("P §10, eq. 7, 8")
      .rows({45})
      .by("the same")
      .measured("largest relative difference of the first four", directions)
      .at_most(1e-9, "dense solves of a condition of 10<sup>4</sup>");
}

/// What the Hessian is more than a metric.
void hessian(Findings& findings, const Odd& problem) {
  const auto g = natgrad::Elementwise::sinh(0.5);
  const Point at(problem, g);
  const auto [of_theta, of_gamma] = both_graphs(problem, g, at);
  const auto H = dense(natgrad::hessian(of_theta)), H_gamma = dense(natgrad::hessian(of_gamma));
  const auto rest = hessian_of(of_theta.gradient().dot(g.forward(at.gamma)), {at.gamma});
  findings
      .claim("hessian-gets-a-rest",
             "The Hessian does not change as a metric does: it gets the second derivatives of g.")
      .formula(
          "H<sub>γ</sub> = J<sub>g</sub><sup>⊤</sup>HJ<sub>g</sub> + Σ<sub>j</sub> "
          "[∇h]<sub>j</sub> "
          "H<sub>[g]<sub>j</sub></sub>")
      .source("P §10")
      .rows({47})
      .by("<code>hessian(graph)</code>")
      .measured("‖H<sub>γ</sub> − formula‖/‖H<sub>γ</sub>‖",
                relative_error(at.J.t().mm(H).mm(at.J) + rest, H_gamma))
      .at_most(1e-10, "products in double");
  findings
      .claim("hessian-rest-matters", "What the Hessian gets by g is no trifle away from a minimum.")
      .source("P §10")
      .rows({47})
      .by("<code>hessian(graph)</code>")
      .measured("‖Σ [∇h]<sub>j</sub>H<sub>[g]<sub>j</sub></sub>‖/‖H<sub>γ</sub>‖",
                relative_error(H_gamma - rest, H_gamma))
      .at_least(0.01, "far above rounding");
}

// ---- Ways, in steps that get smaller. ----

natgrad::InvarianceReport ways(const Odd& problem, const natgrad::Reparametrisation& g,
                               const natgrad::Curvature& C) {
  const auto options = natgrad::InvarianceOptions().steps({10, 20, 40}).curvature(C);
  return natgrad::invariance_check(
      problem.network.parameters(), [&] { return problem.loss(); }, g, options);
}

struct Method {
  std::string name;
  std::shared_ptr<const natgrad::Curvature> curvature;
  bool is_invariant, is_affine_invariant;
};

std::vector<Method> methods() {
  return {{"Fisher", natgrad::Fisher().clone(), true, true},
          {"Gauss-Newton", natgrad::GaussNewton().clone(), true, true},
          {"empirical Fisher", natgrad::EmpiricalFisher().clone(), true, true},
          {"plain gradient", natgrad::ParameterScales().clone(), false, false},
          {"Newton's method", natgrad::Hessian().clone(), false, true}};
}

/// After some natural-gradient steps, where the Hessian is less wild.
Odd trained(const Material& material) {
  Odd problem(material);
  natgrad::NaturalGradient optimizer(problem.network.parameters(),
                                     plain_natural_gradient(0.3, 0.03));
  for (int k = 0; k < 10; ++k) optimizer.step(problem.loss());
  return problem;
}

void smooth_paths(Findings& findings, const Odd& problem) {
  const auto origin = number(problem.network.theta().min()) - 1;
  struct Named {
    const char *smooth, *apart, *words, *formula;
    std::shared_ptr<const natgrad::Reparametrisation> g;
  };
  const std::vector<Named> maps = {
      {"smooth-path-sinh", "paths-part-sinh", "θ = sinh γ", "sinh γ",
       std::make_shared<natgrad::Elementwise>(natgrad::Elementwise::sinh(1))},
      {"smooth-path-exp", "paths-part-exp", "θ = θ₀ + exp γ", "θ<sub>0</sub> + exp γ",
       std::make_shared<natgrad::Elementwise>(natgrad::Elementwise::exp(origin))}};
  for (const auto& map : maps) {
    Chart chart(fmt::format("Ways in θ and in γ, {}", map.words), "step size ε",
                "how far apart they end");
    double worst_order = 2, other_order = 0, smallest_other = 1e30, largest_invariant = 0;
    for (const auto& method : methods()) {
      const auto report = ways(problem, *map.g, *method.curvature);
      std::vector<double> eps, apart;
      for (const auto& row : report.rows) {
        eps.push_back(row.epsilon);
        apart.push_back(row.difference);
      }
      chart.line(method.name, eps, apart);
      const double order = slope({eps[1], eps[2]}, {apart[1], apart[2]});
      if (method.is_invariant) {
        worst_order = smaller(worst_order, order);
        largest_invariant = larger(largest_invariant, apart.back());
      } else {
        other_order = larger(other_order, order);
        smallest_other = smaller(smallest_other, apart.back());
      }
    }
    findings.chart(chart.log_x().log_y(),
                   "Euler's steps over the same time, in both parameterisations; the distance of "
                   "the ends is that of the distributions, over the way.");
    const auto formula =
        fmt::format("θ = g(γ) = {}: &nbsp; ‖g(γ<sub>T</sub>) − θ<sub>T</sub>‖ = O(ε)", map.formula);
    findings
        .claim(map.smooth,
               "The smooth path does not depend on how the model is parameterised: for F, G and "
               "the empirical Fisher matrix the ways meet as steps get smaller.")
        .formula(formula)
        .source("P §10")
        .rows({46})
        .by("<code>invariance_check(parameters, loss, g)</code>")
        .measured("smallest order in ε of the distance, three matrices", worst_order)
        .near(1, 0.25, "ε is finite");
    findings.claim(map.apart, "For the plain gradient and for Newton's method they stay apart.")
        .formula(formula)
        .source("P §10")
        .rows({47})
        .by("<code>invariance_check</code> with <code>ParameterScales()</code>, "
            "<code>Hessian()</code>")
        .measured("larger order in ε of the two distances, which are ten times the others'",
                  smallest_other >= kApart * largest_invariant
                      ? other_order
                      : std::numeric_limits<double>::infinity())
        .at_most(0.5, "they do not shrink with ε");
  }
}

void one_step(Findings& findings, const Odd& problem) {
  const auto g = natgrad::Elementwise::sinh(1);
  const auto apart = [&](double rate) {  // over the way, which is ∝ ε itself
    const auto options = plain_natural_gradient(rate);
    const auto report = natgrad::invariance_of_steps(
        problem.network.parameters(), [&] { return problem.loss(); }, g, options);
    return rate * report.difference;
  };
  findings
      .claim("one-step",
             "Iteration 6 fails only in so far as g departs from its own first-order "
             "approximation: in one step by ε<sup>2</sup>.")
      .formula("g(γ + εd<sub>γ</sub>) − g(γ) − εd<sub>θ</sub> = O(ε<sup>2</sup>)")
      .source("P §10")
      .rows({46})
      .by("<code>invariance_of_steps(parameters, loss, g, options)</code>")
      .measured("order in ε of the distance after one step, θ = sinh γ",
                order(apart(0.02), apart(0.01)))
      .near(2, 0.1, "ε = 0.02 and 0.01");
}

void affine(Findings& findings, const Odd& problem) {
  const auto g = natgrad::Affine::mixing(problem.network.size(), 5, 7, problem.network.theta());
  std::vector<std::vector<Json>> rows;
  double exact = 0, gradient = 0;
  for (const auto& method : methods()) {
    const auto report = ways(problem, g, *method.curvature);
    const double largest =
        std::ranges::max(report.rows, {}, &natgrad::InvarianceReport::Row::difference).difference;
    rows.push_back({method.name, largest});
    (method.is_affine_invariant ? exact : gradient) =
        larger(method.is_affine_invariant ? exact : gradient, largest);
  }
  findings.table("θ = A γ, condition 5, steps of any size", {"method", "how far apart"}, rows);
  findings
      .claim("affine-exact",
             "Under affine reparameterisations large steps are the same too, as those of "
             "Newton's method are.")
      .formula("g(γ) = Aγ + b: &nbsp; g(γ + εd<sub>γ</sub>) = g(γ) + εd<sub>θ</sub>")
      .source("P §10")
      .rows({48})
      .by("<code>invariance_check</code> with <code>Affine</code>")
      .measured("largest distance but the gradient's", exact)
      .at_most(1e-9, "dense solves of a condition of 10<sup>4</sup>");
  findings
      .claim("affine-gradient",
             "Under affine reparameterisations the steps of the gradient are others.")
      .source("P §6, §10")
      .rows({48})
      .by("<code>invariance_check</code> with <code>ParameterScales()</code>")
      .measured("its distance", gradient)
      .at_least(0.05, "far above rounding");
}

// ---- What practice does to it. ----

/// How far two steps in γ are from those in θ, over the way.
struct OffByMethod {
  std::string name;
  natgrad::NaturalGradientOptions options;
  double by_mixing = NAN, by_scales = NAN, by_rotation = NAN;
};

void measure(std::vector<OffByMethod>& methods, const Odd& problem) {
  const auto P = problem.network.size();
  const auto scales = (0.7 * normal({P}, 107)).exp();
  const natgrad::Affine mixing = natgrad::Affine::mixing(P, 5, 7, problem.network.theta()),
                        diagonal(scales),
                        rotation(std::get<0>(torch::linalg_qr(normal({P, P}, 108))));
  for (auto& method : methods) {
    const auto off = [&](const natgrad::Reparametrisation& g) {
      const auto loss = [&] { return problem.loss(); };
      return natgrad::invariance_of_steps(problem.network.parameters(), loss, g, method.options, 2)
          .difference;
    };
    method.by_mixing = off(mixing);
    method.by_scales = off(diagonal);
    method.by_rotation = off(rotation);
  }
}

void practice(Findings& findings, const Odd& problem) {
  const auto tikhonov = plain_natural_gradient(0.3, 0.1);
  auto marquardt = plain_natural_gradient(0.3, 0.1);
  marquardt.damping_matrix(natgrad::MarquardtDiagonal());
  auto truncated = plain_natural_gradient(0.3, 0);
  truncated.solver(natgrad::ConjugateGradient().max_iterations(5).tolerance(0));
  std::vector<OffByMethod> all = {
      {"undamped, solved exactly", plain_natural_gradient(0.3, 0).solver(natgrad::Cholesky())},
      {"Tikhonov, λI", tikhonov},
      {"Marquardt, λ diag(F)", marquardt},
      {"conjugate gradients, five iterations", truncated},
      {"natgrad's default", natgrad::NaturalGradientOptions()}};
  measure(all, problem);
  std::vector<std::vector<Json>> rows;
  for (const auto& row : all) {
    rows.push_back({row.name, row.by_mixing, row.by_scales, row.by_rotation});
  }
  findings.table("Two steps: how far those in γ are from those in θ, over the way",
                 {"method", "A mixes all", "A = diag", "A orthogonal"}, rows);
  const char* const by = "<code>invariance_of_steps(parameters, loss, g, options)</code>";
  findings
      .claim("practical-exact",
             "The practical iteration, undamped and solved exactly, is invariant to affine "
             "reparameterisations.")
      .source("P §10")
      .rows({48})
      .by(by)
      .measured("largest of its three distances",
                larger({all[0].by_mixing, all[0].by_scales, all[0].by_rotation}))
      .at_most(1e-9, "solves of a condition of 10<sup>4</sup>");
  findings.claim("tikhonov-breaks", "Tikhonov's damping breaks affine invariance.")
      .formula(
          "(J<sub>g</sub><sup>⊤</sup>FJ<sub>g</sub> + λI)<sup>−1</sup> ≠ "
          "J<sub>g</sub><sup>−1</sup>(F + "
          "λI)<sup>−1</sup>J<sub>g</sub><sup>−⊤</sup>")
      .source("P §9, §10")
      .rows({48})
      .by(by)
      .measured("its distance under a map that mixes all", all[1].by_mixing)
      .at_least(0.02, "far above rounding");
  findings.claim("tikhonov-keeps-rotations", "Tikhonov's damping keeps orthogonal maps.")
      .source("P §9, §10")
      .rows({48})
      .by(by)
      .measured("its distance under an orthogonal map", all[1].by_rotation)
      .at_most(1e-8, "solves to rounding");
  findings
      .claim("marquardt-keeps-scales",
             "Marquardt's λ diag(F) keeps rescalings of single parameters.")
      .source("P §9, §10")
      .rows({48})
      .by(by)
      .measured("its distance under a diagonal map", all[2].by_scales)
      .at_most(1e-8, "solves to rounding");
  findings.claim("truncation-breaks", "A solve that stops early breaks affine invariance.")
      .source("P §10")
      .rows({48})
      .by(by)
      .measured("distance after five iterations a step, a map that mixes all", all[3].by_mixing)
      .at_least(0.01, "far above rounding");
}

void invertible(Findings& findings) {
  const auto x = normal({10}, 109), y = normal({10}, 110);
  const auto gamma = torch::zeros({1}, torch::kDouble).requires_grad_();
  natgrad::NaturalGradient optimizer({gamma}, plain_natural_gradient(1));
  optimizer.step((x * gamma.pow(3) - y).square().mean());
  findings
      .claim("invertible-jacobian",
             "g(γ) = γ<sup>3</sup> is invertible, but not its Jacobian at 0, where γ is stuck.")
      .source("P §10")
      .rows({45})
      .by("<code>summary().outcome</code>")
      .care("The condition is that J<sub>g</sub> be invertible.")
      .measured("|γ| after a step from 0", number(gamma.detach().abs().sum()))
      .at_most(0, "no step: the gradient is zero");
}

void run(Findings& findings, const Material& material) {
  const auto problem = trained(material);
  findings.text(
      fmt::format("Is a digit odd? By the ink of its four quarters; a network 4-2-1 with P = {} "
                  "weights, 300 digits, after ten damped steps.",
                  problem.network.size()));
  matrices(findings, problem);
  hessian(findings, problem);
  smooth_paths(findings, problem);
  one_step(findings, problem);
  affine(findings, problem);
  practice(findings, problem);
  invertible(findings);
}

}  // namespace
}  // namespace invariance_section

Section invariance() {
  return {"invariance", "Parameterisation invariance", "P §10", invariance_section::run};
}

}  // namespace examples::theory
