#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>

namespace natgrad {

namespace {

Fisher positive_fisher(const LossGraph& graph) {
  return Fisher().weights(graph.negative_weights() > 0 ? FisherWeights::Uniform
                                                       : FisherWeights::OfTheLoss);
}

}  // namespace

LinearOperator FisherOrGaussNewton::at(const LossGraph& graph) const {
  return has_fisher(graph) ? positive_fisher(graph).at(graph) : gauss_newton(graph);
}

torch::Tensor FisherOrGaussNewton::noise(const LossGraph& graph, at::Generator generator) const {
  return has_fisher(graph) ? positive_fisher(graph).noise(graph, std::move(generator))
                           : GaussNewton().noise(graph, std::move(generator));
}

std::shared_ptr<const Curvature> FisherOrGaussNewton::clone() const {
  return std::make_shared<FisherOrGaussNewton>(*this);
}

}  // namespace natgrad
