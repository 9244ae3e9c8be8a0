#include <fmt/format.h>
#include <natgrad/diagnostics/invariance.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/torch.h>

#include <limits>

#include "diagnostics/chart.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// The chart's loss for one step, whose graph has to stay until the step is over.
class OneGraph {
 public:
  explicit OneGraph(Chart& chart) : chart_(chart) {}
  Tensor operator()() {
    TORCH_CHECK_VALUE(!torch::GradMode::is_enabled() || !has_graph_,
                      "natgrad: invariance_of_steps sees no gradients at trial points. Take a step "
                      "rule that asks for losses alone, as LineSearch().");
    has_graph_ = has_graph_ || torch::GradMode::is_enabled();
    return chart_.loss();
  }

 private:
  Chart& chart_;
  bool has_graph_ = false;
};

struct StepsTaken {
  Tensor start, end;
  StepSummary summary;
};

StepsTaken take_steps(LossOfParameters& h, const Reparametrisation* g,
                      const NaturalGradientOptions& options, int64_t steps) {
  Chart chart(h, g);
  StepsTaken taken{chart.theta(), {}, {}};
  NaturalGradient optimizer({chart.gamma()}, options);
  for (int64_t k = 0; k < steps; ++k) {
    OneGraph once(chart);
    optimizer.step([&] { return once(); });
  }
  taken.end = chart.theta();
  taken.summary = optimizer.summary();
  return taken;
}

}  // namespace

StepInvariance invariance_of_steps(const std::vector<Tensor>& parameters,
                                   const std::function<Tensor()>& loss, const Reparametrisation& g,
                                   const NaturalGradientOptions& options, int64_t steps) {
  TORCH_CHECK_VALUE(steps >= 1, "natgrad: invariance_of_steps takes at least one step, but got ",
                    steps, ".");
  LossOfParameters h(parameters, loss);
  const auto in_theta = take_steps(h, nullptr, options, steps);
  const auto in_gamma = take_steps(h, &g, options, steps);
  StepInvariance result;
  result.in_theta = in_theta.summary;
  result.in_gamma = in_gamma.summary;
  result.reparametrisation = g.describe();
  const double way = norm_in_double(in_theta.end - in_theta.start);
  const double other = norm_in_double(in_gamma.end - in_gamma.start);
  result.difference = way > 0 && other > 0 ? norm_in_double(in_gamma.end - in_theta.end) / way
                                           : std::numeric_limits<double>::infinity();
  return result;
}

std::string StepInvariance::message() const {
  return fmt::format("under θ = {} the step is off by {:.2e} of itself\n  in θ: {}\n  in γ: {}\n",
                     reparametrisation, difference, in_theta.message(), in_gamma.message());
}

}  // namespace natgrad
