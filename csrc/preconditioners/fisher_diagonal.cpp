#include <fmt/format.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <torch/torch.h>

#include <algorithm>
#include <string>

#include "graph/coupled_examples.h"
#include "graph/loss_graph_state.h"
#include "libtorch/degradations.h"
#include "preconditioners/inverse_power.h"

namespace natgrad {

using torch::Tensor;

namespace {

// Of d where single examples do not tell it, at a backward pass a draw: the standard deviation is
// 0.35 d.
constexpr int64_t kDraws = 16;

bool have_equal_examples(const LossGraph& graph) {
  const auto& terms = graph.terms();
  return std::all_of(terms.begin(), terms.end(), [&](const LossTerm& term) {
    return graph.examples_of(term) == graph.examples();
  });
}

/// Why the gradients of single examples do not tell the diagonal, where the Fisher matrix can;
/// empty if they do.
std::string why_not_by_examples(const LossGraph& graph) {
  if (!graph.is_readable() || !has_fisher(graph) || graph.negative_weights() > 0) return {};
  if (detail::find_batch_normalisation(detail::network_census(graph)) != nullptr) {
    return "batch normalisation in training mode couples the examples";
  }
  return have_equal_examples(graph) ? "" : "the loss's terms have unequal numbers of examples";
}

Tensor diagonal_of(const LossGraph& graph, FisherWeights weights) {
  const auto reason = why_not_by_examples(graph);
  detail::report_degradation(
      detail::Degradation::CoupledExamples,
      reason.empty() ? ""
                     : reason +
                           ": FisherDiagonal() takes the diagonal of the Fisher matrix, by 16 "
                           "draws of the targets");
  if (reason.empty()) return empirical_fisher_diagonal(graph, Moment::Uncentred, weights);
  return propagated_fisher_diagonal(graph, kDraws, graph.generator(Purpose::Preconditioner),
                                    weights);
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
  check_exponent(*this, exponent_);
  return std::make_unique<FisherDiagonal>(*this);
}

}  // namespace natgrad
