#include <fmt/format.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/hutchinson.h>
#include <torch/torch.h>

#include "curvature/probes.h"

namespace natgrad {

using torch::Tensor;

namespace {

void check_floor(double floor) {
  TORCH_CHECK(floor > 0 && floor <= 1,
              "natgrad: Marquardt's diagonal has a floor in (0, 1], a share of its largest entry, "
              "but got ",
              floor, ".");
}

Tensor propagated_diagonal(const LossGraph& graph, int64_t probes) {
  if (!has_fisher(graph)) {
    return propagated_gauss_newton_diagonal(graph, probes, graph.generator(Purpose::DampingMatrix));
  }
  const auto weights =
      graph.negative_weights() > 0 ? FisherWeights::Uniform : FisherWeights::OfTheLoss;
  return propagated_fisher_diagonal(graph, probes, graph.generator(Purpose::DampingMatrix),
                                    weights);
}

/// d, at least `floor` of its largest entry; ones if none is positive.
Tensor floored(const Tensor& d, double floor) {
  const auto largest = d.max();
  return torch::where(largest <= 0, torch::ones_like(d), d.maximum(floor * largest));
}

}  // namespace

LinearOperator MarquardtDiagonal::at(const LossGraph& graph) const {
  const torch::NoGradGuard no_grad;
  check_floor(floor_);
  const auto d = exact_ ? exact_diagonal(FisherOrGaussNewton().at(graph).matrix)
                        : propagated_diagonal(graph, probes_);
  return diagonal_operator(floored(d, floor_));
}

std::string MarquardtDiagonal::describe() const {
  const auto draws = exact_ ? std::string("exact") : fmt::format("probes={}", probes_);
  return fmt::format("MarquardtDiagonal({}, floor={})", draws, floor_);
}

std::shared_ptr<const DampingMatrix> MarquardtDiagonal::clone() const {
  check_floor(floor_);
  if (!exact_) check_probes(probes_);
  return std::make_shared<MarquardtDiagonal>(*this);
}

}  // namespace natgrad
