#include <natgrad/curvature/score_rows.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include "curvature/scored_examples.h"

namespace natgrad {

using torch::Tensor;

LinearOperator score_rows(const LossGraph& graph) {
  return matrix_of(std::make_shared<const TargetedRows>(score_seed(graph), graph), kScoreRows);
}

CurvatureAt ScoreRows::at(const LossGraph& graph) const {
  return at_rows(std::make_shared<const TargetedRows>(score_seed(graph), graph), kScoreRows);
}

std::shared_ptr<const Curvature> ScoreRows::clone() const {
  return std::make_shared<ScoreRows>(*this);
}

}  // namespace natgrad
