#pragma once

#include <natgrad/graph/loss_graph.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "detail.h"
#include "graph/census.h"
#include "graph/example_groups.h"
#include "graph/layers.h"
#include "graph/linearization.h"
#include "graph/reading.h"
#include "graph/second_derivative.h"
#include "libtorch/hooks.h"

namespace natgrad::detail {

/// What the copies of a LossGraph share; what is optional or a pointer is filled
/// when first asked for.
struct LossGraphState {
  LossGraphState(torch::Tensor loss, std::vector<torch::Tensor> parameters, RandomStreams streams,
                 Unread unread);

  torch::Tensor loss;
  ParameterLayout parameters;
  RandomStreams streams;
  Unread unread;
  Census below_loss;
  std::optional<Readable<Reading>> reading;
  torch::Tensor gradient;  // undefined until then
  std::optional<int64_t> negative_weights;
  std::optional<Census> below_outputs;
  std::optional<Layers> layers;
  std::optional<ExampleGroups> groups;
  std::optional<double> told_examples;
  std::unique_ptr<const Linearization> linearization;
  std::optional<SecondDerivative> penalty_hessian;
  bool own_loss_is_checked = false;
};

/// Within the library a LossGraph also tells what needs LibTorch's autograd to be named. Below
/// the first two all throw where the loss cannot be read, and are made on first use and then kept.

/// The loss's value.
torch::Tensor loss_of(const LossGraph& graph);
/// Its outputs, terms and penalties.
const Reading& reading_of(const LossGraph& graph);
/// Whether `multiply_loss_hessian` knows the loss's Hessian in z.
bool has_loss_hessian(const LossGraph& graph);
/// Where a gradient of the loss enters its graph.
torch::autograd::Edge root_edge(const LossGraph& graph);
/// What one walk below the loss met.
const Census& loss_census(const LossGraph& graph);
/// The outputs' edges.
const torch::autograd::edge_list& output_edges(const LossGraph& graph);
/// What one walk below them met.
const Census& network_census(const LossGraph& graph);
/// The layers of the network.
const Layers& layers_of(const LossGraph& graph);
/// Which outputs are about the same examples.
const ExampleGroups& example_groups_of(const LossGraph& graph);
/// From now on a loss that cannot be read counts as one over so many examples.
void tell_examples(const LossGraph& graph, double examples);
/// The sum, over groups of terms that are about the same examples, of the largest that `of_term`
/// answers in each.
double sum_over_examples(const LossGraph& graph,
                         const std::function<double(const LossTerm& term)>& of_term);
/// J and Jᵀ.
const Linearization& linearization_of(const LossGraph& graph);
/// ∇²_θ of the penalties.
const SecondDerivative& penalty_hessian_of(const LossGraph& graph);

}  // namespace natgrad::detail
