#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/loss_graph.h>

namespace natgrad {

torch::Tensor Curvature::noise(const LossGraph& graph, at::Generator generator) const {
  return probed_noise(graph, at(graph), std::move(generator));
}

}  // namespace natgrad
