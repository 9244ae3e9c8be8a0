#include <fmt/format.h>
#include <natgrad/curvature/centred_rows.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <cmath>

#include "curvature/explicit_rows.h"
#include "graph/jacobian_rows.h"
#include "graph/loss_graph_state.h"
#include "libtorch/edges.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr auto kCentredRows = "centred rows";
// 1 GiB in double.
constexpr int64_t kMostCentredNumbers = int64_t{1} << 27;

/// w = ∂h/∂z of [N] or [N, 1].
Tensor weights_of_samples(const LossGraph& graph) {
  TORCH_CHECK(graph.outputs() == 1,
              "natgrad: CentredRows() takes one number a sample, but the "
              "loss has ",
              graph.outputs(),
              " outputs. Stack them, or name the one that is meant: "
              "natgrad::outputs(z).");
  const auto w = sum_by_output(graph, [](const LossTerm& term) {
                   return term.gradient.defined() ? term.gradient.detach() : Tensor();
                 }).front();
  const auto z = w.defined() ? w : detail::zeros_at(detail::output_edges(graph).front());
  TORCH_CHECK(z.dim() > 0 && z.numel() == z.size(0) && z.numel() > 0,
              "natgrad: CentredRows() takes one number a sample, z of [N], but the outputs are ",
              z.sizes(), ".");
  TORCH_CHECK(
      z.numel() * graph.parameters().size() <= kMostCentredNumbers,
      "natgrad: CentredRows() holds a row of P = ", graph.parameters().size(),
      " numbers for each of ", z.numel(), " samples, ",
      fmt::format("{:.2g} GB", 8e-9 * static_cast<double>(z.numel() * graph.parameters().size())),
      "; take fewer.");
  return z;
}

/// Whether Σ w is zero as far as its dtype tells.
bool is_centred(const Tensor& w) {
  const double rounding = std::sqrt(w.scalar_type() == torch::kDouble ? 2.2e-16 : 1.2e-7);
  return std::abs(w.sum().item<double>()) <= rounding * w.abs().sum().item<double>();
}

}  // namespace

CurvatureAt CentredRows::at(const LossGraph& graph) const {
  const torch::NoGradGuard no_grad;
  const auto w = weights_of_samples(graph);
  const auto N = w.numel();
  const double root = std::sqrt(static_cast<double>(N));
  const auto& parameters = graph.parameters();
  auto rows = torch::empty({N, parameters.size()}, parameters.options());
  const auto u = torch::full_like(w, 1 / root).unsqueeze(0);
  const auto route = detail::write_jacobian_rows(rows, {0, N, u}, graph);
  rows.sub_(rows.mean(0));
  CurvatureAt at(graph, detail::operator_of_rows(rows, kCentredRows));
  if (is_centred(w)) at.targets = (-root * w).reshape(-1).to(rows.dtype());
  at.choice = fmt::format("{} {} by {}", N, kCentredRows, route);
  return at;
}

std::shared_ptr<const Curvature> CentredRows::clone() const {
  return std::make_shared<CentredRows>(*this);
}

}  // namespace natgrad
