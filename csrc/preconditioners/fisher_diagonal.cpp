#include <fmt/format.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <torch/torch.h>

#include "preconditioners/inverse_power.h"

namespace natgrad {

LinearOperator FisherDiagonal::at(const LossGraph& graph, double lambda) const {
  const torch::NoGradGuard no_grad;
  check_lambda(*this, lambda);
  return inverse_power(*this, empirical_fisher_diagonal(graph, Moment::Uncentred, weights_), lambda,
                       exponent_);
}

std::string FisherDiagonal::describe() const {
  return fmt::format("FisherDiagonal(exponent={}{})", exponent_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::unique_ptr<Preconditioner> FisherDiagonal::clone() const {
  return std::make_unique<FisherDiagonal>(*this);
}

}  // namespace natgrad
