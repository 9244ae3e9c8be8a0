#include "support/graph_readings.h"
#include <natgrad/graph/loss_graph.h>
#include <stdexcept>
#include "graph/loss_graph_state.h"

#include <torch/csrc/autograd/variable.h>

#include "support/dense_oracles.h"

namespace natgrad::testing {

Problem make_problem(const NetworkCase& network_case, const LossCase& loss_case) {
  auto network = network_case.make ? network_case.make() : tanh_network();
  const auto z = network.forward();
  const auto outputs = split(z, loss_case);
  const auto loss = loss_case.loss(outputs);
  return {network, loss_case, z, outputs, loss, LossGraph(loss, network.parameters)};
}

size_t output_of(const LossGraph& graph, const Tensor& z) {
  const auto wanted = torch::autograd::impl::gradient_edge(z);
  for (size_t k = 0; k < graph.outputs(); ++k) {
    const auto& edge = output_edges(graph)[k];
    const bool marked = edge.function->name() == "natgrad::outputs";
    if ((marked ? edge.function->next_edge(0) : edge) == wanted) return k;
  }
  throw std::logic_error("this z is not among the graph's outputs");
}

namespace {

std::vector<size_t> places_of(const LossGraph& graph, const Outputs& z) {
  std::vector<size_t> places;
  for (const auto& output : z) places.push_back(output_of(graph, output));
  return places;
}

}  // namespace

Tensor dense_loss_hessian(const LossGraph& graph, const Outputs& z) {
  const auto places = places_of(graph, z);
  std::vector<Tensor> columns;
  for (size_t k = 0; k < z.size(); ++k) {
    for (int64_t i = 0; i < z[k].numel(); ++i) {
      std::vector<Tensor> v(z.size()), ordered(z.size());
      for (size_t j = 0; j < z.size(); ++j) v[places[j]] = torch::zeros_like(z[j]).detach();
      v[places[k]].view(-1)[i] = 1;
      const auto product = graph.multiply_loss_hessian(v);
      for (size_t j = 0; j < z.size(); ++j) {
        const auto& part = product[places[j]];
        ordered[j] = part.defined() ? part : torch::zeros_like(z[j]);
      }
      columns.push_back(flat(ordered));
    }
  }
  return torch::stack(columns, 1).detach();
}

Tensor term_gradients(const LossGraph& graph, const Outputs& z) {
  const auto places = places_of(graph, z);
  std::vector<Tensor> sums;
  for (size_t k = 0; k < z.size(); ++k) {
    auto sum = torch::zeros_like(z[k]).detach();
    for (const auto& term : graph.terms()) {
      if (term.output == places[k]) sum = sum + term.gradient.detach();
    }
    sums.push_back(sum);
  }
  return flat(sums);
}

Tensor weights_of(const LossGraph& graph, const Tensor& z, const Family& family) {
  const size_t place = output_of(graph, z);
  auto sum = torch::zeros_like(z).detach();
  for (const auto& term : graph.terms()) {
    const bool same = term.output == place && term.likelihood &&
                      term.likelihood->describe().find(family.name) == 0;
    if (same) sum = sum + term.weights;
  }
  return sum;
}

}  // namespace natgrad::testing
