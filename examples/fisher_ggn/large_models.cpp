#include "fisher_ggn/large_models.h"

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <chrono>

#include "fisher_ggn/networks.h"
#include "fisher_ggn/products.h"

namespace examples {

using torch::Tensor;

namespace {

// Rounding of a pass through a network, forward and back; in float32 the textbooks' formulas lose
// digits too (5e-6 for Beta).
double bar_of(torch::ScalarType dtype) { return dtype == torch::kFloat ? 1e-4 : kEqualMatrices; }

/// One network, its outputs' family and targets.
struct Model {
  const Family& family;
  Network network;
  Tensor y;

  Tensor outputs() const { return family.domain(network.outputs()); }
  natgrad::LossGraph graph() const { return {family.loss(outputs(), y), network.parameters}; }
};

Model make_model(const std::string& name, const Family& family, const LargeModels& chosen,
                 const Shape& shape) {
  const auto width = chosen.width > 0 ? chosen.width : width_of(name, chosen.weights, shape);
  auto network = make_network(name, width, shape);
  return {family, std::move(network), family.observed_targets(shape.examples, shape.dtype)};
}

/// The largest distances over the probes, and seconds a product.
struct Distances {
  double gauss_newton = 0, score_products = 0, minus_hessian = 0;
  double fisher_seconds = 0, gauss_newton_seconds = 0;
};

/// What `product` gives; adds the seconds it took.
template <class Product>
Tensor timed(double& seconds, Product product) {
  const auto start = std::chrono::steady_clock::now();
  auto result = product();
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

/// The library's two are computed on graphs of their own.
Distances measure(const Model& model, int64_t probes, double tamper) {
  const auto F = natgrad::fisher(model.graph());
  const auto G = natgrad::gauss_newton(model.graph());
  const ProductRoutes routes(model.family, model.outputs(), model.network.parameters);
  Distances largest;
  const auto raise = [](double& to, const Tensor& a, const Tensor& b) {
    const double difference = relative_difference(a, b);
    if (!(difference <= to)) to = difference;
  };
  for (int64_t k = 0; k < probes; ++k) {
    const auto v = torch::randn({F.size()}, F.options());
    const auto Fv = timed(largest.fisher_seconds, [&] { return F.multiply(v); });
    const auto Gv = timed(largest.gauss_newton_seconds, [&] { return tamper * G.multiply(v); });
    raise(largest.gauss_newton, Gv, Fv);
    raise(largest.score_products, routes.expected_score_products(v), Fv);
    raise(largest.minus_hessian, routes.minus_expected_hessian(v), Fv);
  }
  largest.fisher_seconds /= static_cast<double>(probes);
  largest.gauss_newton_seconds /= static_cast<double>(probes);
  return largest;
}

/// A line of the table.
Json compare(const std::string& name, const std::string& family_name, const std::string& precision,
             const Setting& setting, const LargeModels& chosen, Findings& findings) {
  const auto& family = family_named(family_name);
  const auto dtype = precision == "float32" ? torch::kFloat : torch::kDouble;
  torch::manual_seed(setting.seed);
  const auto model = make_model(name, family, chosen, {family.width, setting.examples, dtype});
  const auto largest = measure(model, chosen.probes, setting.tamper);
  const auto of = fmt::format("{}, {}, {}", name, family_name, precision);
  const auto cell = [&](const char* route, double difference, bool equal) {
    const auto mark =
        equal ? findings.must_be_equal("models", of, route, "(a) Fisher", difference, bar_of(dtype))
              : findings.must_differ("models", of, route, "(a) Fisher", difference);
    fmt::print("{:>13}", mark);
  };
  fmt::print("{:<11}{:>9}  {:<25}{:<9}", name, model.network.weights(), family_name, precision);
  cell("(b) GGN", largest.gauss_newton, family.outputs == Outputs::Natural);
  cell("(c) E[score scoreᵀ]", largest.score_products, true);
  cell("(d) -E[∇² log r]", largest.minus_hessian, family.outputs != Outputs::Kinked);
  fmt::print("{:>10.1f}{:>8.1f}\n", 1e3 * largest.fisher_seconds,
             1e3 * largest.gauss_newton_seconds);
  return {{"model", name},
          {"weights", model.network.weights()},
          {"family", family_name},
          {"precision", precision},
          {"natural", family.outputs == Outputs::Natural},
          {"gauss_newton", largest.gauss_newton},
          {"score_products", largest.score_products},
          {"minus_hessian", largest.minus_hessian},
          {"fisher_seconds", largest.fisher_seconds},
          {"gauss_newton_seconds", largest.gauss_newton_seconds}};
}

}  // namespace

Json compare_large_models(const Setting& setting, const LargeModels& chosen, Findings& findings) {
  fmt::print(
      "\nBy products with {} random v alone, {} examples: ‖A v - F v‖/‖F v‖, the largest; "
      "milliseconds a product.\n\n{:<11}{:>9}  {:<25}{:<9}{:>13}{:>13}{:>13}{:>10}{:>8}\n",
      chosen.probes, setting.examples, "model", "weights", "family", "", "(b) GGN", "(c) E[s sᵀ]",
      "(d) -E[∇²]", "ms, F", "ms, G");
  auto json = Json::array();
  for (const auto& name : chosen.models) {
    for (const auto& family : chosen.families) {
      for (const auto& precision : chosen.precisions) {
        json.push_back(compare(name, family, precision, setting, chosen, findings));
      }
    }
  }
  return json;
}

}  // namespace examples
