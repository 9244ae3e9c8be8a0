// P §1: what a network is, and that nothing below asks more of it than a derivative.

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <torch/torch.h>

#include "theory/models.h"
#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace networks_section {
namespace {

namespace nn = torch::nn;
using torch::Tensor;

void layers(Findings& findings, const Digits& digits) {
  const auto net = std::make_shared<nn::SequentialImpl>(
      nn::Linear(64, 20), nn::Tanh(), nn::Linear(20, 15), nn::Sigmoid(), nn::Linear(15, 10));
  net->to(torch::kDouble);
  auto a = digits.pixels;
  const auto p = net->parameters();
  for (size_t i = 0; i < 3; ++i) {
    const auto s = torch::matmul(a, p[2 * i].t()) + p[2 * i + 1];
    a = i == 0 ? s.tanh() : i == 1 ? 1 / (1 + (-s).exp()) : s;
  }
  findings.claim("layers", "A network computes s<sub>i</sub> and a<sub>i</sub> layer by layer.")
      .formula(
          "s<sub>i</sub> = W<sub>i</sub> a<sub>i−1</sub> + b<sub>i</sub>, "
          "a<sub>i</sub> = φ<sub>i</sub>(s<sub>i</sub>)")
      .source("P §1")
      .rows({1})
      .by("any <code>torch::nn::Module</code>; natgrad takes its parameters")
      .measured("‖loop − module‖/‖module‖, 64-20-15-10",
                relative_error(a, net->forward(digits.pixels)))
      .at_most(1e-14, "a few sums of 64 products in double");
}

/// J v against a central difference of f itself.
double error_of_products(const Model& model, const Digits& digits) {
  constexpr double kStep = 1e-5;  // errors of order 1e-10 by curvature and by rounding alike
  const auto z = model.forward(digits.pixels);
  const natgrad::LossGraph graph(Classifier::loss(z, digits.labels), model.parameters);
  const auto v = normal({graph.parameters().size()}, 11);
  const auto theta = graph.parameters().values();
  const auto moved = [&](double by) {
    graph.parameters().assign(theta + by * v);
    const auto result = model.forward(digits.pixels).detach();
    graph.parameters().assign(theta);
    return result;
  };
  const auto product = graph.multiply_jacobian(v)[0];
  return relative_error(product, (moved(kStep) - moved(-kStep)) / (2 * kStep));
}

void any_function(Findings& findings, const Digits& digits) {
  double worst = 0;
  std::vector<std::vector<Json>> rows;
  for (const auto& model : models_of_digits()) {
    const double error = error_of_products(model, digits);
    rows.push_back({model.name, flat(model.parameters).numel(), error});
    worst = larger(worst, error);
  }
  findings.table("Networks f(x, θ) of the digits", {"network", "P", "error of J v"}, rows);
  findings
      .claim("any-differentiable-f",
             "Most results need of f only that it is differentiable: J<sub>f</sub> is known by its "
             "products, whatever the network.")
      .formula("J<sub>f</sub> v = lim (f(x, θ + εv) − f(x, θ − εv)) / 2ε")
      .source("P §1")
      .rows({1})
      .by("<code>LossGraph::multiply_jacobian</code>")
      .measured("largest of the errors above", worst)
      .at_most(1e-7, "a difference with ε = 1e-5");
}

void run(Findings& findings, const Material& material) {
  findings.text("Handwritten digits of 8 x 8 pixels, and networks that read them.");
  const auto digits = some_digits(material, 20);
  layers(findings, digits);
  any_function(findings, digits);
}

}  // namespace
}  // namespace networks_section

Section networks() { return {"networks", "Networks", "P §1", networks_section::run}; }

}  // namespace examples::theory
