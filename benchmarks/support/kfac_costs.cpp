#include "support/kfac_costs.h"
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include <fmt/format.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/presets.h>
#include <natgrad/preconditioners/kronecker_factored.h>
#include <torch/torch.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <vector>

#include "support/autoencoder.h"

namespace benchmarks {
namespace {

using torch::Tensor;

constexpr int kRepetitions = 9;
constexpr int64_t kCurvatureParts = 8;  // of the batch, the curvature takes one
constexpr double kLambda = 1e-2;

/// The median of a few, in processor milliseconds.
double milliseconds(const std::function<void()>& part) {
  std::vector<double> times;
  for (int k = 0; k < kRepetitions; ++k) {
    const auto begin = std::clock();
    part();
    times.push_back(1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  std::nth_element(times.begin(), times.begin() + kRepetitions / 2, times.end());
  return times[kRepetitions / 2];
}

}  // namespace

void add_kfac_costs(const Tensor& images, uint64_t seed, Page& page) {
  auto model = make_autoencoder(seed);
  const auto loss_on = [&](const Tensor& x) { return reconstruction_loss(model->forward(x), x); };
  const auto first = images.chunk(kCurvatureParts).front();
  const auto loss = loss_on(images);
  const natgrad::LossGraph graph(loss_on(first), model->parameters());
  const auto& layout = graph.parameters();

  const auto options = natgrad::presets::kfac();
  const auto preset = options.preconditioner()->clone();
  const auto& kfac = dynamic_cast<const natgrad::KroneckerFactored&>(*preset);
  const auto factors =
      natgrad::kronecker_factors(graph, natgrad::make_generator(seed), kfac.factors());
  const auto inverse =
      natgrad::kronecker_product(natgrad::damped_inverse(factors, kLambda), layout);
  const Tensor g = graph.gradient();
  natgrad::linearization_of(graph);

  page.heading(fmt::format("K-FAC at batch {}, curvature of {}", images.size(0), first.size(0)));
  page.head({"part", "ms each", "ms a step"});
  const auto add_part = [&](const char* name, double each, double a_step) {
    page.row({name, fmt::format("{:.1f}", each), fmt::format("{:.1f}", each * a_step)});
  };
  add_part("forward pass", milliseconds([&] { loss_on(images); }), 1);
  add_part("backward pass", milliseconds([&] {
             natgrad::LossGraph(loss, model->parameters(), natgrad::Terms::WhenAsked).gradient();
           }),
           1);
  add_part("factors", milliseconds([&] {
             natgrad::kronecker_factors(graph, natgrad::make_generator(seed), kfac.factors());
           }),
           1.0 / static_cast<double>(kfac.factor_interval()));
  add_part("inverses", milliseconds([&] { natgrad::damped_inverse(factors, kLambda); }),
           1.0 / static_cast<double>(kfac.inverse_interval()));
  add_part("direction", milliseconds([&] { inverse.multiply(g); }), 1);
  add_part("linearisation", milliseconds([&] {
             natgrad::Linearization(natgrad::network_census(graph), layout,
                                    natgrad::make_generator(seed));
           }),
           1);
  add_part("product J v", milliseconds([&] { natgrad::linearization_of(graph).multiply(g); }), 2);
  add_part("a vector's sum", milliseconds([&] { g.add(g); }), 6);
}

}  // namespace benchmarks
