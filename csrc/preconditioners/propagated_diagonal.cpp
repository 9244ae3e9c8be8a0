#include <fmt/format.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/preconditioners/propagated_diagonal.h>
#include <torch/torch.h>

#include "curvature/probes.h"
#include "preconditioners/inverse_power.h"

namespace natgrad {

LinearOperator PropagatedDiagonal::at(const LossGraph& graph, double lambda) const {
  const torch::NoGradGuard no_grad;
  check_lambda(*this, lambda);
  const auto d = has_fisher(graph)
                     ? propagated_fisher_diagonal(
                           graph, probes_, graph.generator(Purpose::Preconditioner), weights_)
                     : propagated_gauss_newton_diagonal(graph, probes_,
                                                        graph.generator(Purpose::Preconditioner))
                           .clamp_min_(0);
  return inverse_power(*this, d, lambda, exponent_);
}

std::string PropagatedDiagonal::describe() const {
  return fmt::format("PropagatedDiagonal(exponent={}, probes={}{})", exponent_, probes_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::unique_ptr<Preconditioner> PropagatedDiagonal::clone() const {
  check_exponent(*this, exponent_);
  check_probes(probes_);
  return std::make_unique<PropagatedDiagonal>(*this);
}

}  // namespace natgrad
