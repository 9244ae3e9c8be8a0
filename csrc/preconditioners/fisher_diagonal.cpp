#include <fmt/format.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <torch/torch.h>

#include "graph/coupled_examples.h"
#include "graph/loss_graph_state.h"
#include "libtorch/degradations.h"
#include "preconditioners/inverse_power.h"

namespace natgrad {

using torch::Tensor;

namespace {

// Of d where the examples are coupled, at a backward pass a draw: the standard deviation is 0.35 d.
constexpr int64_t kDraws = 16;

/// Whether the statistics of a batch make no example's gradient its own.
bool are_coupled(const LossGraph& graph) {
  return graph.is_readable() && has_fisher(graph) && graph.negative_weights() == 0 &&
         detail::find_batch_normalisation(detail::network_census(graph)) != nullptr;
}

Tensor diagonal_of(const LossGraph& graph, FisherWeights weights) {
  const bool coupled = are_coupled(graph);
  detail::report_degradation(
      detail::Degradation::CoupledExamples,
      coupled ? "batch normalisation in training mode couples the examples: FisherDiagonal() takes "
                "the diagonal of the Fisher matrix, by 16 draws of the targets"
              : "");
  return coupled ? propagated_fisher_diagonal(graph, kDraws,
                                              graph.generator(Purpose::Preconditioner), weights)
                 : empirical_fisher_diagonal(graph, Moment::Uncentred, weights);
}

}  // namespace

LinearOperator FisherDiagonal::at(const LossGraph& graph, double lambda) const {
  const torch::NoGradGuard no_grad;
  check_lambda(*this, lambda);
  return inverse_power(*this, diagonal_of(graph, weights_), lambda, exponent_);
}

std::string FisherDiagonal::describe() const {
  return fmt::format("FisherDiagonal(exponent={}{})", exponent_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::unique_ptr<Preconditioner> FisherDiagonal::clone() const {
  return std::make_unique<FisherDiagonal>(*this);
}

}  // namespace natgrad
