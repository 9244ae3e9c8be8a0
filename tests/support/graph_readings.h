#pragma once

// What a LossGraph says, in the order and shape of the tests' references.

#include <natgrad/graph/loss_graph.h>

#include <initializer_list>
#include <string_view>

#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing {

/// A network under a loss, read by the library.
struct Problem {
  Network network;
  LossCase loss_case;
  torch::Tensor z;  ///< [kExamples, kOutputs], with its graph
  Outputs outputs;  ///< cut as the loss takes it
  torch::Tensor loss;
  LossGraph graph;
  int64_t size() const { return graph.parameters().size(); }
};

Problem make_problem(const NetworkCase& network, const LossCase& loss);
inline Problem make_problem(const LossCase& loss) { return make_problem({"", tanh_network}, loss); }

/// Which of the graph's outputs is this z (the tensor itself, or under natgrad::outputs).
size_t output_of(const LossGraph& graph, const torch::Tensor& z);

/// ∇²_z of the loss over these outputs, one after the other, product by product.
torch::Tensor dense_loss_hessian(const LossGraph& graph, const Outputs& z);

/// ∂(terms)/∂z added up over the terms, flat over these outputs.
torch::Tensor term_gradients(const LossGraph& graph, const Outputs& z);

/// The sum of the weights of the terms of this family at this z, expanded to it.
torch::Tensor weights_of(const LossGraph& graph, const torch::Tensor& z, const Family& family);

/// Passes if `call` throws a c10::Error whose message contains each of `needles`.
template <class F>
void expect_error_naming(F&& call, std::initializer_list<std::string_view> needles) {
  for (const auto needle : needles) expect_error(call, needle);
}

}  // namespace natgrad::testing
