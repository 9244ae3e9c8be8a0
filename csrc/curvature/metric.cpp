#include <fmt/format.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "curvature/parameter_lists.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// s⁻² as a tensor like t. Throws where its dtype cannot hold it.
Tensor metric_of(const Tensor& t, double s) {
  const auto g = torch::full({}, 1 / (s * s), torch::kDouble).to(t.device(), t.scalar_type());
  TORCH_CHECK(g.gt(0).logical_and(g.isfinite()).item<bool>(), "natgrad: the scale ", s,
              " of a parameter has a metric s^-2 beyond the range of ", t.scalar_type(), ".");
  return g.expand(t.sizes());
}

int64_t next_number() {
  static std::atomic<int64_t> count = 0;
  return ++count;
}

}  // namespace

ParameterScales& ParameterScales::scale(const std::vector<Tensor>& parameters, double s) {
  TORCH_CHECK(s > 0 && std::isfinite(s),
              "natgrad: a parameter's scale is a finite number > 0, but is ", s, ".");
  auto scales = scales_;
  for (size_t i = 0; i < parameters.size(); ++i) {
    TORCH_CHECK(parameters[i].defined(), "natgrad: parameter ", i,
                " of those to be given the scale ", s, " is undefined.");
    for (const auto& [known, scale] : scales) {
      TORCH_CHECK(!known.is_same(parameters[i]), "natgrad: parameter ", i,
                  " of those to be given the scale ", s, " has the scale ", scale,
                  " already; give each parameter one.");
    }
    scales.emplace_back(parameters[i], s);
  }
  scales_ = std::move(scales);
  return *this;
}

CurvatureAt ParameterScales::at(const LossGraph& graph) const {
  const auto& layout = graph.parameters();
  for (const auto& [parameter, s] : scales_) {
    check_is_one_of(layout, parameter, c10::str("has the scale ", s));
  }
  std::vector<Tensor> metric;
  for (const auto& t : layout.tensors()) {
    const auto known = std::find_if(scales_.begin(), scales_.end(),
                                    [&](const auto& entry) { return entry.first.is_same(t); });
    const double s = known == scales_.end() ? 1 : known->second;
    metric.push_back(metric_of(t, s));
  }
  return {graph, diagonal_operator(layout.flatten(metric))};
}

std::string ParameterScales::describe() const {
  std::string scales;
  for (const auto& [parameter, s] : scales_) {
    scales += fmt::format("{}{}: {}", scales.empty() ? "" : ", ",
                          fmt::ptr(parameter.unsafeGetTensorImpl()), s);
  }
  return fmt::format("ParameterScales({})", scales);
}

std::shared_ptr<const Curvature> ParameterScales::clone() const {
  return std::make_shared<ParameterScales>(*this);
}

Metric::Metric(std::string name, AtLoss G)
    : name_(std::move(name)), G_(std::move(G)), number_(next_number()) {
  TORCH_CHECK(G_ != nullptr, "natgrad: the metric ", name_, " has no function.");
}

Metric::Metric(std::string name, AtParameters G)
    : Metric(std::move(name),
             G ? AtLoss([G](const LossGraph& graph) { return G(graph.parameters()); }) : nullptr) {}

Metric::Metric(LinearOperator G) : Metric(G.name(), AtLoss([G](const LossGraph&) { return G; })) {}

CurvatureAt Metric::at(const LossGraph& graph) const {
  const auto& layout = graph.parameters();
  const auto G = G_(graph);
  TORCH_CHECK(G.size() == layout.size(), "natgrad: the metric ", name_, " is of size ", G.size(),
              " but the parameters are ", layout.size(),
              " numbers: those that require a gradient, flat, in the optimizer's order.");
  TORCH_CHECK(G.options().dtype() == layout.options().dtype() &&
                  G.options().device() == layout.options().device(),
              "natgrad: the metric ", name_, " is in ", G.options().dtype(), " on ",
              G.options().device(), " but the parameters are in ", layout.options().dtype(), " on ",
              layout.options().device(), ".");
  return {graph, G};
}

std::string Metric::describe() const { return fmt::format("Metric({} #{})", name_, number_); }

std::shared_ptr<const Curvature> Metric::clone() const { return std::make_shared<Metric>(*this); }

}  // namespace natgrad
