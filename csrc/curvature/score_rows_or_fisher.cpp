#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include "curvature/scored_examples.h"

namespace natgrad {

CurvatureAt ScoreRowsOrFisher::at(const LossGraph& graph) const {
  if (!has_fisher(graph)) return GradientRows().at(graph);
  const auto examples = score_rows_if_cheap(graph);
  if (const auto* scored = std::get_if<0>(&examples)) return at_rows(*scored, "score rows");
  auto exact = FisherOrGaussNewton().at(graph);
  exact.choice =
      fmt::format("the exact matrix; no score rows: {}", std::get<Unfit>(examples).reason);
  return exact;
}

std::shared_ptr<const Curvature> ScoreRowsOrFisher::clone() const {
  return std::make_shared<ScoreRowsOrFisher>(*this);
}

}  // namespace natgrad
