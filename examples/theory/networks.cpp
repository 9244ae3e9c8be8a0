// P §1: what a network is, and that nothing below asks more of it than a derivative.

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <torch/torch.h>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace {

namespace nn = torch::nn;
using torch::Tensor;

/// Any module with digits as its inputs, [N, 64], and class scores as its outputs.
struct Model {
  std::string name;
  std::vector<Tensor> parameters;
  std::function<Tensor(const Tensor& pixels)> forward;
};

template <class Layer, class... Arguments>
std::shared_ptr<Layer> layer(Arguments&&... arguments) {
  const auto made = std::make_shared<Layer>(std::forward<Arguments>(arguments)...);
  made->to(torch::kDouble);
  return made;
}
const auto linear = [](int64_t from, int64_t to) { return layer<nn::LinearImpl>(from, to); };

std::vector<Tensor> parameters_of(const std::vector<std::shared_ptr<nn::Module>>& layers) {
  std::vector<Tensor> all;
  for (const auto& one : layers) {
    for (const auto& parameter : one->parameters()) all.push_back(parameter);
  }
  return all;
}

Model layered() {
  const auto below = linear(64, 12), above = linear(12, 10);
  return {"64-12-10, tanh", parameters_of({below, above}),
          [=](const Tensor& x) { return above->forward(below->forward(x).tanh()); }};
}

Model convolutional() {
  const auto convolution = layer<nn::Conv2dImpl>(nn::Conv2dOptions(1, 4, 3).padding(1));
  const auto out = linear(64, 10);
  return {"convolution 3x3, pooling", parameters_of({convolution, out}), [=](const Tensor& x) {
            const auto maps = convolution->forward(x.view({-1, 1, 8, 8})).tanh();
            return out->forward(torch::avg_pool2d(maps, 2).flatten(1));
          }};
}

Model recurrent() {
  const auto cell = linear(8 + 10, 10), out = linear(10, 10);
  return {"recurrent, the rows as time", parameters_of({cell, out}), [=](const Tensor& x) {
            auto h = torch::zeros({x.size(0), 10}, torch::kDouble);
            for (const auto& row : x.view({-1, 8, 8}).unbind(1)) {
              h = cell->forward(torch::cat({row, h}, 1)).tanh();
            }
            return out->forward(h);
          }};
}

Model attention() {
  const auto query = linear(8, 6), key = linear(8, 6), value = linear(8, 6), out = linear(6, 10);
  return {"attention, the rows as words", parameters_of({query, key, value, out}),
          [=](const Tensor& x) {
            const auto rows = x.view({-1, 8, 8});
            const auto likeness = query->forward(rows).matmul(key->forward(rows).transpose(1, 2));
            return out->forward(likeness.softmax(2).matmul(value->forward(rows)).mean(1));
          }};
}

void layers(Findings& findings, const Digits& digits) {
  const auto net = layer<nn::SequentialImpl>(nn::Linear(64, 20), nn::Tanh(), nn::Linear(20, 15),
                                             nn::Sigmoid(), nn::Linear(15, 10));
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
  for (const auto& model : {layered(), convolutional(), recurrent(), attention()}) {
    const double error = error_of_products(model, digits);
    rows.push_back({model.name, flat(model.parameters).numel(), error});
    worst = std::max(worst, error);
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
  const auto digits = some_digits(material, 20);
  layers(findings, digits);
  any_function(findings, digits);
}

}  // namespace

Section networks() { return {"networks", "Networks", "P §1", run}; }

}  // namespace examples::theory
