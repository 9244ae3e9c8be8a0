#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/damping_matrix.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/loss_graph.h>

namespace natgrad {

CurvatureAt::CurvatureAt(const LossGraph& graph, LinearOperator C)
    : CurvatureAt(C, [graph, C](at::Generator generator) {
        return probed_noise(graph, C, std::move(generator));
      }) {}

std::shared_ptr<const DampingMatrix> CurvatureMatrix::clone() const {
  return std::make_shared<CurvatureMatrix>(*this);
}

}  // namespace natgrad
