#include "optim/measured.h"

#include <torch/torch.h>

#include <limits>
#include <optional>

#include "curvature/divergence.h"
#include "optim/promised_share.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr auto kNats = FisherWeights::Uniform;

/// The mean over the chunks of KL(p(θ) ‖ p(θ + d)).
double divergence_of_step(const Evaluator& h, const Tensor& d) {
  double sum = 0;
  const bool is_inside = h.compare(d, [&](const LossGraph& graph, const LossGraph& moved) {
    sum += divergence(graph, moved, kNats);
  });
  return is_inside ? sum / static_cast<double>(h.batch().chunks())
                   : std::numeric_limits<double>::infinity();
}

/// ½ dᵀFd of the first chunk.
double half_square_of_step(const Evaluator& h, const Tensor& d) {
  return half_metric(h.graph(), h.graph().multiply_jacobian(d), kNats);
}

/// Why no divergence is known; empty if one is.
std::string reason_for_none(const LossGraph& graph) {
  if (!graph.is_readable()) return "the loss cannot be read";
  return has_fisher(graph) ? "" : "the outputs have no known distribution";
}

void measure_divergence(const StepData& data, const Tensor& displacement, StepSummary& report) {
  const auto& h = data.h();
  report.nats_basis = reason_for_none(h.graph());
  if (!report.nats_basis.empty()) return;
  if (data.can_try()) {
    try {
      report.nats = divergence_of_step(h, displacement);
      report.nats_basis = "after the step";
      return;
    } catch (const c10::NotImplementedError&) {  // a family of the user's own
    }
  }
  try {
    report.nats = half_square_of_step(h, displacement);
    report.nats_basis = "to second order";
  } catch (const c10::NotImplementedError&) {
    report.nats_basis = "some op cannot be differentiated twice; step(closure) can tell";
  }
}

}  // namespace

void measure(const StepData& data, const LinearOperator& C, const Tensor& displacement,
             StepSummary& report) {
  report.bound_share = promised_share(data, C, displacement);
  measure_divergence(data, displacement, report);
}

}  // namespace natgrad::detail
