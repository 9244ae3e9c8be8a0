#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/graph/loss_graph.h>

namespace natgrad {

namespace {

Fisher positive_fisher(const LossGraph& graph) {
  return Fisher().weights(graph.negative_weights() > 0 ? FisherWeights::Uniform
                                                       : FisherWeights::OfTheLoss);
}

}  // namespace

CurvatureAt FisherOrGaussNewton::at(const LossGraph& graph) const {
  if (has_fisher(graph)) return positive_fisher(graph).at(graph);
  // Of outputs that were found GaussNewton() looks itself.
  const bool is_marked = graph.substitutes().empty();
  return is_marked && !is_convex_along_gradient(graph) ? GradientRows().at(graph)
                                                       : GaussNewton().at(graph);
}

std::shared_ptr<const Curvature> FisherOrGaussNewton::clone() const {
  return std::make_shared<FisherOrGaussNewton>(*this);
}

}  // namespace natgrad
