#include "pulled_back.h"

#include <natgrad/graph/pass_size.h>
#include <torch/torch.h>

namespace natgrad {

LinearOperator pulled_back(const LossGraph& graph, std::string name, OutputMap A) {
  graph.linearization();  // its random dummy is not to be drawn while many columns are multiplied
  const auto& parameters = graph.parameters();
  return {std::move(name), parameters.size(), parameters.options(),
          [graph, A = std::move(A)](const torch::Tensor& v) {
            torch::NoGradGuard no_grad;
            const auto& f = graph.linearization();
            return f.multiply_transposed(A(f.multiply(v)));
          },
          columns_for({graph.root()})};
}

}  // namespace natgrad
