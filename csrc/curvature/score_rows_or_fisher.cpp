#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include "curvature/scored_examples.h"
#include "graph/loss_graph_state.h"
#include "graph/node_kinds.h"

namespace natgrad {

CurvatureAt ScoreRowsOrFisher::at(const LossGraph& graph) const {
  const auto examples = score_rows_if_cheap(graph);
  if (const auto* scored = std::get_if<0>(&examples)) return at_rows(*scored, kScoreRows);
  const auto op = op_without_second_derivative(network_census(graph));
  // Outputs that natgrad found are no choice of the user's: rows are cheap, Gauss-Newton is not.
  const bool takes_rows = !op.empty() || (!graph.substitutes().empty() && !has_fisher(graph));
  auto other = takes_rows ? GradientRows().at(graph) : FisherOrGaussNewton().at(graph);
  if (!op.empty()) other.choice += "; " + op + " cannot be differentiated twice";
  if (other.choice.empty()) other.choice = "the exact matrix";
  other.choice += "; no score rows: " + std::get<Unfit>(examples).reason;
  return other;
}

std::shared_ptr<const Curvature> ScoreRowsOrFisher::clone() const {
  return std::make_shared<ScoreRowsOrFisher>(*this);
}

}  // namespace natgrad
