// B, the blog post: units of measurement, steepest descent in a metric, and variational inference.

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
namespace units_section {
namespace {

using natgrad::LossGraph, torch::Tensor;

// ---- Metres and centimetres. ----

/// Where a lamp hangs: its height in metres and how bright it is, from the light on a table at
/// eleven places.
struct Lamp {
  Tensor place = torch::linspace(-1, 1, 11, torch::kDouble), light;
  Tensor height = torch::full({1}, 1.2, torch::kDouble).requires_grad_(),
         power = torch::full({1}, 2., torch::kDouble).requires_grad_();
  Lamp() {
    light = of(torch::full({1}, 0.9, torch::kDouble), torch::full({1}, 3., torch::kDouble)) +
            0.02 * normal({11}, 151);
  }
  Tensor of(const Tensor& h, const Tensor& p) const {
    return p * h / (place.square() + h.square()).pow(1.5);
  }
  Tensor loss_of(const Tensor& h, const Tensor& p) const {
    return natgrad::nll(natgrad::Gaussian(of(h, p)), light);
  }
  Tensor loss() const { return loss_of(height, power); }
};

/// The height after one step with everything in units of which a metre is `per_metre`, in metres.
double height_after(const Lamp& lamp, double per_metre,
                    const natgrad::NaturalGradientOptions& options, double scale = 0) {
  const auto h = (per_metre * lamp.height.detach()).requires_grad_();
  auto own = options;
  if (scale > 0) own.curvature(natgrad::ParameterScales().scale({h}, scale));
  natgrad::NaturalGradient optimizer({h}, own);
  optimizer.step(lamp.loss_of(h / per_metre, lamp.power.detach()));
  return number(h.detach()[0]) / per_metre;
}

void rescaled(Findings& findings) {
  constexpr double kRate = 0.02, kCentimetres = 100;
  const Lamp lamp;
  const double start = number(lamp.height.detach()[0]);
  const auto plain = [](double rate) {
    return plain_natural_gradient(rate).curvature(natgrad::ParameterScales());
  };
  const double metres = height_after(lamp, 1, plain(kRate)) - start;
  const double centimetres = height_after(lamp, kCentimetres, plain(kRate)) - start;
  findings
      .claim("one-ten-thousandth",
             "Gradient descent with lengths in centimetres instead of metres goes a "
             "ten-thousandth of the way.")
      .formula("θ ← θ − <sup>η</sup>⁄<sub>10000</sub> ∇L(θ)")
      .source("B")
      .rows({51})
      .by("<code>ParameterScales()</code>, autograd")
      .measured("step in metres over step in centimetres", metres / centimetres)
      .near(1e4, 1e-4, "rounding of a difference");
  const double converted = height_after(lamp, kCentimetres, plain(kRate * 1e4)) - start;
  findings
      .claim("rate-has-units",
             "η has units of metres<sup>2</sup>: converted too, the updates are the same.")
      .formula("η [m<sup>2</sup>] = 10<sup>4</sup> η [cm<sup>2</sup>]")
      .source("B")
      .rows({51})
      .by("<code>ParameterScales()</code>")
      .measured("relative difference of the steps", std::abs(converted / metres - 1))
      .at_most(1e-10, "rounding of a difference");
  const double scaled = height_after(lamp, 1, plain_natural_gradient(kRate), 0.5) - start;
  const double in_centimetres =
      height_after(lamp, kCentimetres, plain_natural_gradient(kRate), 50) - start;
  findings
      .claim("characteristic-scales",
             "With a characteristic scale for each parameter the metric is diagonal, and "
             "the update has the same units in any.")
      .formula(
          "g<sub>ii</sub> = s<sub>i</sub><sup>−2</sup>: &nbsp; θ<sub>i</sub> ← θ<sub>i</sub> − η "
          "s<sub>i</sub><sup>2</sup> ∂L/∂θ<sub>i</sub>")
      .source("B")
      .rows({51})
      .by("<code>ParameterScales().scale({heights}, s)</code>")
      .care("Printed ∂L/∂θ<sub>1</sub> in the update.")
      .measured("relative difference, s = 0.5 m and s = 50 cm",
                std::abs(in_centimetres / scaled - 1))
      .at_most(1e-10, "rounding of a difference");
}

void components(Findings& findings) {
  constexpr double kCentimetres = 100;
  const Lamp lamp;
  const auto report = natgrad::change_of_units(
      {lamp.height, lamp.power}, [&] { return lamp.loss(); }, {kCentimetres, 1}, {0.5, 1},
      natgrad::Fisher());
  std::vector<std::vector<Json>> rows;
  const std::vector<std::string> names = {"height, m to cm", "power, as it was"};
  for (size_t i = 0; i < 2; ++i) {
    const auto& row = report.rows[i];
    rows.push_back(
        {names[i], row.gradient, row.natural, row.plain_step, row.scaled_step, row.natural_step});
  }
  findings.table(
      "Components in new units over those in old",
      {"parameter", "∇h", "F<sup>−1</sup>∇h", "a plain step, in metres", "with scales", "natural"},
      rows);
  findings
      .claim("co-and-contravariant",
             "Gradient components are covariant, those of a displacement contravariant: "
             "the natural gradient is one, the gradient is not.")
      .formula("∇h → 1/100, &nbsp; F<sup>−1</sup>∇h → 100")
      .source("B")
      .rows({51})
      .by("<code>change_of_units(parameters, loss, factors)</code>")
      .measured("largest deviation from these multiples, relative", report.error)
      .at_most(1e-8, "a solve with F");
}

// ---- Steepest descent. ----

void steepest(Findings& findings) {
  const Lamp lamp;
  const auto graph = LossGraph(lamp.loss(), {lamp.height, lamp.power});
  const auto& g = graph.gradient();
  const auto fall = [&](const Tensor& x) {
    constexpr double kStep = 1e-6;
    const auto at = [&](double e) {
      return number(lamp.loss_of(lamp.height.detach() + e * x[0], lamp.power.detach() + e * x[1]));
    };
    return (at(kStep) - at(-kStep)) / (2 * kStep);
  };
  findings
      .claim("minus-the-gradient",
             "Among steps of length ε the loss falls most along −∇L/‖∇L‖, by ε‖∇L‖.")
      .formula("min<sub>‖x‖=1</sub> L(θ + εx)")
      .source("B")
      .rows({52})
      .by("<code>LossGraph::gradient</code>")
      .measured("slope of L along −∇L/‖∇L‖ over ‖∇L‖", fall(-g / g.norm()) / number(g.norm()))
      .near(-1, 1e-6, "a central difference");
  findings.claim("blog-as-printed", "The loss falls most along x = ∇L/‖∇L‖.")
      .formula("x = ∇L/‖∇L‖")
      .source("B")
      .rows({52})
      .by("<code>LossGraph::gradient</code>")
      .as_printed()
      .measured("slope of L along it over ‖∇L‖", fall(g / g.norm()) / number(g.norm()))
      .near(-1, 1e-6, "a central difference");
}

void steepest_in_a_metric(Findings& findings) {
  const Lamp lamp;
  const auto graph = LossGraph(lamp.loss(), {lamp.height, lamp.power});
  const auto& g = graph.gradient();
  const auto F = dense(natgrad::fisher(graph));
  const auto solved = torch::linalg_solve(F, g);
  double worst = -1e30;
  for (int k = 0; k < 100; ++k) {
    auto x = normal({2}, 160 + k);
    x = x / x.dot(F.mv(x)).sqrt();
    worst = larger(worst, -number(g.dot(x)));
  }
  const auto before = torch::cat({lamp.height.detach(), lamp.power.detach()}).clone();
  natgrad::NaturalGradient optimizer(
      {lamp.height, lamp.power},
      plain_natural_gradient(1).curvature(natgrad::Metric(natgrad::from_dense(F))));
  optimizer.step(lamp.loss());
  const auto x = torch::cat({lamp.height.detach(), lamp.power.detach()}) - before;
  const double largest = -number(g.dot(x) / x.dot(F.mv(x)).sqrt());
  findings
      .claim("metric-step",
             "In any metric G the step of steepest descent is along −G<sup>−1</sup>∇L.")
      .formula("x = −G<sup>−1</sup>∇L/‖∇L‖<sub>G<sup>−1</sup></sub>")
      .source("B")
      .rows({52})
      .by("<code>Metric(G)</code>")
      .measured(
          "fall of L by the step's direction over that of the best of 100 random ones, "
          "‖x‖<sub>G</sub> = 1",
          largest / worst)
      .at_least(1, "none is better");
  findings
      .claim("metric-norm",
             "The length of a step is √Σ g<sub>ij</sub>x<sub>i</sub>x<sub>j</sub>, and the rate of "
             "the fall ‖∇L‖<sub>G<sup>−1</sup></sub>.")
      .source("B")
      .rows({52})
      .by("<code>Metric(G)</code>")
      .measured("fall of L along it over √(∇L<sup>⊤</sup>G<sup>−1</sup>∇L)",
                largest / number(g.dot(solved).sqrt()))
      .near(1, 1e-9, "a solve of two unknowns");
}

void run(Findings& findings, const Material&) {
  findings.text(
      "A lamp hangs over a table: its height, in metres, and its power from the light measured at "
      "eleven "
      "places; generated with noise.");
  rescaled(findings);
  components(findings);
  steepest(findings);
  steepest_in_a_metric(findings);
}

}  // namespace
}  // namespace units_section

Section units() { return {"units", "Units and metrics: the blog post", "B", units_section::run}; }

}  // namespace examples::theory
