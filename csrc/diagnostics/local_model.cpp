#include <fmt/format.h>
#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/diagnostics/local_model.h>
#include <natgrad/linalg/random.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "curvature/scored_examples.h"
#include "diagnostics/moved_loss.h"
#include "graph/loss_graph_state.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

// Of M against its other form, relative to the summands: rounding of J δ and of F_R⁻.
constexpr double kSameModel = 1e-9, kSameModelInFloat = 1e-3;
// A tolerance that leaves conjugate gradients on the range of a singular C.
constexpr double kResidual = 1e-8;

/// Σ sᵢ ½‖Jᵢδ - sign·bᵢ‖²_{F_R}.
double distance_to_best(const LossGraph& graph, const std::vector<Tensor>& moves, double sign) {
  const auto best = best_outputs(graph);
  double sum = 0;
  for (size_t k = 0; k < best.size(); ++k) {
    const auto& term = graph.terms()[k];
    const auto off = moves[term.output].detach() - sign * best[k];
    const auto squares = off * term.likelihood->fisher_multiply(off);
    sum +=
        0.5 *
        (weights_of(term, FisherWeights::OfTheLoss) * squares).sum(torch::kDouble).item<double>();
  }
  return sum;
}

void check_has_best_outputs(const LossGraph& graph) {
  TORCH_CHECK_VALUE(!graph.has_penalties(),
                    "natgrad: the loss has penalties, whose share of M is no distance between "
                    "outputs. Take the graph of the loss without them.");
}

}  // namespace

LocalModel::LocalModel(const LossGraph& graph, LinearOperator C)
    : graph_(graph), C_(std::move(C)) {}

double LocalModel::loss() const { return loss_of(graph_).item<double>(); }

double LocalModel::slope(const Tensor& v) const { return dot_in_double(graph_.gradient(), v); }

double LocalModel::curvature(const Tensor& v) const { return dot_in_double(v, C_.multiply(v)); }

double LocalModel::change(const Tensor& delta) const {
  const torch::NoGradGuard no_grad;
  return slope(delta) + 0.5 * curvature(delta);
}

LocalModel quadratic_model(const LossGraph& graph, const Curvature& curvature) {
  const auto C = curvature.at(graph).matrix;
  const bool adds = curvature.needs_penalties() && graph.is_readable() && graph.has_penalties();
  return {graph, adds ? C + penalty_hessian(graph) : C};
}

double least_squares_form(const LossGraph& graph, const Tensor& delta) {
  const torch::NoGradGuard no_grad;
  check_has_best_outputs(graph);
  const double c = loss_of(graph).item<double>() + bound(graph);
  return distance_to_best(graph, graph.multiply_jacobian(delta), +1) + c;
}

QuadraticModelReport check_quadratic_model(const LossGraph& graph, const Curvature& curvature,
                                           int probes, int64_t iterations) {
  const torch::NoGradGuard no_grad;
  check_has_best_outputs(graph);
  TORCH_CHECK_VALUE(probes >= 1 && iterations >= 1,
                    "natgrad: check_quadratic_model takes at least one probe and one iteration.");
  const auto M = quadratic_model(graph, curvature);
  QuadraticModelReport report;
  report.curvature = curvature.describe();
  report.bound = bound(graph);
  const auto& layout = graph.parameters();
  auto generator = make_generator(0);
  for (int k = 0; k < probes; ++k) {
    const auto delta = random_normal({layout.size()}, layout.options(), generator);
    const auto moves = graph.multiply_jacobian(delta);
    const double squares = distance_to_best(graph, moves, 0);  // ½δᵀFδ
    const double size = squares * 2 + std::abs(M.slope(delta)) + std::abs(report.bound);
    const double change = M.change(delta) - report.bound;
    const auto off = [&](double sign) {
      return std::abs(change - distance_to_best(graph, moves, sign)) / size;
    };
    report.difference = worst(report.difference, off(+1));
    report.as_printed = worst(report.as_printed, off(-1));
  }
  const auto solver = ConjugateGradient().max_iterations(iterations).tolerance(kResidual);
  report.gain = M.change(solver.solve(M.matrix(), -graph.gradient()).x);
  report.share = report.bound < 0 ? report.gain / report.bound : 0;  // 0: a perfect fit
  const double tolerance =
      layout.options().dtype() == torch::kDouble ? kSameModel : kSameModelInFloat;
  report.holds = report.difference <= tolerance && report.share <= 1 + tolerance;
  return report;
}

double reduction_ratio(const LocalModel& model, const std::function<Tensor()>& loss,
                       const Tensor& delta) {
  MovedLoss h(loss, model.graph().parameters().tensors());
  const double start = h.here().item<double>();
  return (h.value_at(delta) - start) / model.change(delta);
}

std::string QuadraticModelReport::message() const {
  return fmt::format(
      "M with C = {} against its least-squares form: off by {:.1e} ({:.1e} with the sign as "
      "printed)\n  M - h >= {:.6g}: the least that was found is {:.6g}, {:.3g} of the bound: {}\n",
      curvature, difference, as_printed, bound, gain, share, holds ? "holds" : "does not hold");
}

}  // namespace natgrad
