#include <fmt/format.h>
#include <natgrad/curvature/structural_damping.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/census.h"
#include "graph/hidden_state_nodes.h"
#include "graph/loss_graph_state.h"

#include <cmath>
#include <utility>

namespace natgrad {

using torch::Tensor;
using torch::autograd::edge_list;

namespace {

std::vector<HiddenState> marked_states(const LossGraph& graph) {
  auto states = hidden_states(graph);
  TORCH_CHECK(!states.empty(),
              "natgrad: structural damping found no hidden state below the loss. Mark them in the "
              "forward pass, each where it is computed: h = natgrad::hidden(torch::tanh(a));");
  return states;
}

edge_list edges_at(const std::vector<HiddenState>& states) {
  edge_list edges;
  for (const auto& state : states) edges.push_back(state.edge);
  return edges;
}

/// H_D jv / N, written over jv, the products of this state.
void weigh(const HiddenState& state, Tensor& jv) {
  const auto examples = static_cast<double>(shape_at(state.edge)[0]);
  jv = jv / examples;
  if (state.distance_hessian.defined()) jv = state.distance_hessian * jv;
}

}  // namespace

LinearOperator structural_matrix(const LossGraph& graph) {
  const auto states = marked_states(graph);
  const Census network(edges_at(states));
  // Built now: its random dummy is not to be drawn while many columns are multiplied.
  const auto h = std::make_shared<const Linearization>(network, graph.parameters(),
                                                       graph.generator(Purpose::HiddenStates));
  const auto multiply = [graph, states, h](const Tensor& v) {
    const torch::NoGradGuard no_grad;
    auto jv = h->multiply(v);
    for (size_t k = 0; k < states.size(); ++k) weigh(states[k], jv[k]);
    return h->multiply_transposed(jv);
  };
  return {"structural matrix of the hidden states", graph.parameters().size(),
          graph.parameters().options(), multiply, network.columns()};
}

StructuralDamping::StructuralDamping(double mu) : mu_(mu) {
  TORCH_CHECK(mu > 0 && std::isfinite(mu),
              "natgrad: structural damping has a finite μ > 0, but got ", mu,
              ". With μ = 0 it is Tikhonov's: name no damping matrix.");
}

LinearOperator StructuralDamping::at(const LossGraph& graph) const {
  return mu_ * structural_matrix(graph) + 1.;
}

std::string StructuralDamping::describe() const {
  return fmt::format("StructuralDamping(mu={})", mu_);
}

std::shared_ptr<const DampingMatrix> StructuralDamping::clone() const {
  return std::make_shared<StructuralDamping>(*this);
}

}  // namespace natgrad
