#include "libtorch/engine.h"

#include <torch/csrc/autograd/engine.h>

namespace natgrad::detail {

std::vector<torch::Tensor> run_engine(const torch::autograd::edge_list& roots,
                                      const std::vector<torch::Tensor>& cotangents,
                                      const torch::autograd::edge_list& inputs,
                                      bool is_differentiable) {
  return torch::autograd::Engine::get_default_engine().execute(
      roots, cotangents, /*keep_graph=*/true, /*create_graph=*/is_differentiable,
      /*accumulate_grad=*/false, inputs);
}

}  // namespace natgrad::detail
