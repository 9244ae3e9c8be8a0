#include "diagnostics/flow.h"

#include <torch/torch.h>

#include <limits>

#include "diagnostics/explicit_matrix.h"
#include "linalg/norm.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();
// Of the way: how near Euler's coarsest steps have to end to where finer ones do.
constexpr double kFollowed = 0.05;

bool is_finite(const Tensor& t) { return t.isfinite().all().item<bool>(); }

}  // namespace

double Place::parameters_from(const Place& other) const {
  if (!theta.defined() || !other.theta.defined()) return kNowhere;
  return norm_in_double(theta - other.theta);
}

double Place::distance_from(const Place& other) const {
  if (!theta.defined() || !other.theta.defined()) return kNowhere;
  return distributions.empty() ? parameters_from(other)
                               : distance_between(distributions, other.distributions);
}

Flow::Flow(LossOfParameters& h, const Reparametrisation* g, const InvarianceOptions& options)
    : chart_(h, g), options_(options), first_(chart_.gamma().detach().clone()) {
  const auto graph = chart_.graph();
  gradient_ = graph.gradient().clone();
  C_ = explicit_matrix(options.curvature().at(graph).matrix);
  start_ = {chart_.theta(), known_distributions(graph)};
}

Place Flow::after(double time, int64_t steps) {
  chart_.move_to(first_);
  try {
    for (int64_t k = 0; k < steps; ++k) {
      if (!move(time / static_cast<double>(steps))) return {};
    }
    return {chart_.theta(), known_distributions(chart_.graph())};
  } catch (const OutsideDomain&) {
    return {};
  }
}

bool Flow::is_followed(double time) {
  const auto coarse = after(time, options_.steps()[0]), finer = after(time, options_.steps()[1]);
  return coarse.parameters_from(finer) <= kFollowed * finer.parameters_from(start_) &&
         coarse.distance_from(finer) <= kFollowed * finer.distance_from(start_);
}

bool Flow::move(double epsilon) {
  const auto graph = chart_.graph();
  const auto C = explicit_matrix(options_.curvature().at(graph).matrix);
  const auto& g = graph.gradient();
  if (!is_finite(C) || !is_finite(g)) return false;
  const auto direction = Spectrum(C, options_.cutoff()).solve(g).to(g);
  chart_.move_to(chart_.gamma().detach() - epsilon * direction);
  return true;
}

}  // namespace natgrad::detail
