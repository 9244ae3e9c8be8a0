#include "fisher_ggn/large_models.h"

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <chrono>
#include <set>

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

/// The largest distances over the probes, and milliseconds a product.
struct Distances {
  double gauss_newton = 0, score_products = 0, minus_hessian = 0;
  double fisher_time = 0, gauss_newton_time = 0;
  std::string reason;  ///< why GGN and Fisher matrix part, if they do
};

/// The mean time of some products, in milliseconds.
double time_of(const natgrad::LinearOperator& A, const std::vector<Tensor>& vectors) {
  const auto start = std::chrono::steady_clock::now();
  for (const auto& v : vectors) A.multiply(v);
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  return taken.count() / static_cast<double>(vectors.size());
}

/// (a) against (b) by natgrad's diagnostics, on graphs of their own; (c) and (d) against (a).
Distances measure(const Model& model, const LargeModels& chosen, const Setting& setting) {
  const auto graph = model.graph();
  const auto F = natgrad::fisher(graph);
  const auto G = setting.tamper * natgrad::gauss_newton(model.graph());
  const auto options = natgrad::EquivalenceOptions().probes(chosen.probes).seed(setting.seed);
  const auto found = natgrad::equivalence(graph, F, G, options);
  Distances largest{.gauss_newton = found.distance.value(), .reason = found.terms.at(0).reason};
  const ProductRoutes routes(model.family, model.outputs(), model.network.parameters);
  const auto raise = [](double& to, const Tensor& a, const Tensor& b) {
    const double difference = relative_difference(a, b);
    if (!(difference <= to)) to = difference;
  };
  std::vector<Tensor> vectors;
  for (int64_t k = 0; k < chosen.probes; ++k) {
    const auto v = vectors.emplace_back(torch::randn({F.size()}, F.options()));
    const auto Fv = F.multiply(v);
    raise(largest.score_products, routes.expected_score_products(v), Fv);
    raise(largest.minus_hessian, routes.minus_expected_hessian(v), Fv);
  }
  largest.fisher_time = time_of(F, vectors);
  largest.gauss_newton_time = time_of(G, vectors);
  return largest;
}

/// A line of the table.
Json compare(const std::string& name, const std::string& family_name, const std::string& precision,
             const Setting& setting, const LargeModels& chosen, Findings& findings) {
  const auto& family = family_named(family_name);
  const auto dtype = precision == "float32" ? torch::kFloat : torch::kDouble;
  torch::manual_seed(setting.seed);
  const auto model = make_model(name, family, chosen, {family.width, setting.examples, dtype});
  const auto largest = measure(model, chosen, setting);
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
  fmt::print("{:>10.1f}{:>8.1f}\n", largest.fisher_time, largest.gauss_newton_time);
  return {{"model", name},
          {"weights", model.network.weights()},
          {"family", family_name},
          {"precision", precision},
          {"natural", family.outputs == Outputs::Natural},
          {"reason", largest.reason},
          {"gauss_newton", largest.gauss_newton},
          {"score_products", largest.score_products},
          {"minus_hessian", largest.minus_hessian},
          {"fisher_ms", largest.fisher_time},
          {"gauss_newton_ms", largest.gauss_newton_time}};
}

/// Why GGN and Fisher matrix part, once a family.
void print_reasons(const Json& lines) {
  std::set<std::string> told;
  for (const auto& line : lines) {
    const auto family = line["family"].get<std::string>(), why = line["reason"].get<std::string>();
    if (!why.empty() && told.insert(family).second) fmt::print("{}: {}\n", family, why);
  }
}

}  // namespace

Json compare_large_models(const Setting& setting, const LargeModels& chosen, Findings& findings) {
  fmt::print(
      "\nBy products with {} random v alone, {} examples: (b) ‖Gv - Fv‖/‖Gv‖ by "
      "natgrad::equivalence, (c) and (d)\n‖Av - Fv‖/‖Fv‖, the largest; milliseconds a product.\n\n",
      chosen.probes, setting.examples);
  fmt::print("{:<11}{:>9}  {:<25}{:<9}{:>13}{:>13}{:>13}{:>10}{:>8}\n", "model", "weights",
             "family", "", "(b) GGN", "(c) E[s sᵀ]", "(d) -E[∇²]", "ms, F", "ms, G");
  auto json = Json::array();
  for (const auto& name : chosen.models) {
    for (const auto& family : chosen.families) {
      for (const auto& precision : chosen.precisions) {
        json.push_back(compare(name, family, precision, setting, chosen, findings));
      }
    }
  }
  print_reasons(json);
  return json;
}

}  // namespace examples
