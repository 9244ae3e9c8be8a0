#include <fmt/format.h>
#include <natgrad/curvature/best_outputs.h>
#include <natgrad/diagnostics/mixed_batches.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "diagnostics/explicit_matrix.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kSingularBatch = 1e-10;
// A promise of the bound itself, where each example has parameters of its own, rounds to either
// side of it.
constexpr double kRoundingOfBound = 1e-6;

struct BatchAt {
  Tensor C, gradient;
  double bound;
  Spectrum spectrum;
};

BatchAt read_batch(const std::vector<Tensor>& parameters, const Tensor& loss,
                   const Curvature& curvature) {
  const LossGraph graph(loss, parameters);
  check_fits_matrix(graph.parameters().size(), "mixed_batches",
                    "Compare StepSummary::bound_share of steps with Batches of their own.");
  const auto C = explicit_matrix(curvature.at(graph).matrix);
  return {C, graph.gradient().to(torch::kCPU, torch::kDouble), bound(graph),
          Spectrum(C, kSingularBatch)};
}

double promise(const BatchAt& of_gradient, const Tensor& C, const Tensor& delta) {
  return (of_gradient.gradient.dot(delta) + 0.5 * delta.dot(C.mv(delta))).item<double>();
}

MixedBatchesReport::Pair mix(const BatchAt& of_gradient, const BatchAt& of_curvature,
                             double lambda) {
  const auto& g = of_gradient.gradient;
  const auto same = -of_gradient.spectrum.solve(g, lambda);
  const auto mixed = -of_curvature.spectrum.solve(g, lambda);
  MixedBatchesReport::Pair pair;
  pair.bound = of_gradient.bound;
  pair.same = promise(of_gradient, of_gradient.C, same);
  pair.mixed = promise(of_gradient, of_curvature.C, mixed);
  pair.growth = (mixed.norm() / same.norm()).item<double>();
  return pair;
}

void count(MixedBatchesReport& report) {
  std::vector<double> growth;
  for (const auto& pair : report.pairs) {
    const double least = pair.bound * (1 + kRoundingOfBound);
    report.same_below += pair.same < least;
    report.mixed_below += pair.mixed < least;
    growth.push_back(pair.growth);
  }
  std::sort(growth.begin(), growth.end());
  report.median_growth = growth[growth.size() / 2];
  report.largest_growth = growth.back();
  report.holds = report.same_below == 0;
}

}  // namespace

MixedBatchesReport mixed_batches(const std::vector<Tensor>& parameters,
                                 const std::function<Tensor(int64_t)>& loss, int64_t batches,
                                 double lambda, const Curvature& curvature) {
  TORCH_CHECK_VALUE(batches >= 2, "natgrad: mixed_batches takes at least two batches, but got ",
                    batches, ".");
  TORCH_CHECK_VALUE(lambda >= 0 && std::isfinite(lambda),
                    "natgrad: mixed_batches takes a finite λ >= 0, but got ", lambda, ".");
  const torch::AutoGradMode enable_grad(true);
  std::vector<BatchAt> at;
  for (int64_t k = 0; k < batches; ++k) {
    at.push_back(read_batch(parameters, loss(k), curvature));
  }
  MixedBatchesReport report;
  report.curvature = curvature.describe();
  for (int64_t k = 0; k < batches; ++k) {
    for (int64_t l = 0; l < batches; ++l) {
      if (k == l) continue;
      report.pairs.push_back(mix(at[k], at[l], lambda));
      report.pairs.back().gradient = k;
      report.pairs.back().curvature = l;
    }
  }
  count(report);
  return report;
}

std::string MixedBatchesReport::message() const {
  return fmt::format(
      "M - h below the bound: {} of {} with ∇h and C of one batch, {} of {} with C of another "
      "({});\n  the step is then {:.2g} times as long at the median, {:.2g} at most: {}\n",
      same_below, pairs.size(), mixed_below, pairs.size(), curvature, median_growth, largest_growth,
      holds ? "the bound holds on one batch" : "the bound does not hold");
}

}  // namespace natgrad
