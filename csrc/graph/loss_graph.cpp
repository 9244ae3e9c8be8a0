#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/loss_graph_state.h"
#include "graph/mark_nodes.h"
#include "graph/term_readers.h"
#include "graph/walk.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "libtorch/hooks.h"

namespace natgrad {

using torch::Tensor;

namespace detail {

LossGraphState::LossGraphState(Tensor loss, std::vector<Tensor> parameters, RandomStreams streams,
                               Unread unread)
    : loss((check_loss(loss), std::move(loss))),
      parameters(std::move(parameters)),
      streams(streams),
      unread(unread),
      below_loss({torch::autograd::impl::gradient_edge(this->loss)}) {}

LossGraphState& state_of(const LossGraph& graph) { return *graph.state_; }

namespace {

void check_precision(const Readable<Reading>& reading) {
  if (!is_read(reading)) return;
  for (const auto& z : std::get<Reading>(reading).outputs) {
    TORCH_CHECK(options_at(z).dtype() != torch::kHalf,
                "natgrad: the outputs of the network are float16, in which the loss's derivatives "
                "under- and overflow. Cast them before the loss, z.to(torch::kFloat), or compute "
                "in bfloat16.");
  }
}

const Readable<Reading>& readable(LossGraphState& state) {
  if (state.reading) return *state.reading;
  const auto generator = [&] { return state.streams.generator(Purpose::Linearity); };
  const auto& parameters = state.parameters.tensors();
  state.reading = read_loss(state.loss, parameters, generator);
  if (!is_read(*state.reading) && state.unread == Unread::Substitute) {
    const auto refusal = std::get<Refusal>(*state.reading);
    state.reading = read_substitute(state.loss, parameters, generator, refusal);
  }
  check_precision(*state.reading);
  return *state.reading;
}

/// Once: the Hessian in z of what the user wrote is only as good as the backwards in it.
void check_own_loss(LossGraphState& state, const Reading& reading) {
  if (state.own_loss_is_checked) return;
  torch::autograd::edge_list own;
  for (const auto& term : reading.terms) {
    if (term.is_own()) own.push_back(reading.outputs[term.output]);
  }
  const auto loss = torch::autograd::impl::gradient_edge(state.loss);
  if (!own.empty()) check_slopes_are_differentiable(loss, own);
  state.own_loss_is_checked = true;
}

}  // namespace

const Reading& reading_of(const LossGraph& graph) { return value_of(readable(state_of(graph))); }

Tensor loss_of(const LossGraph& graph) { return state_of(graph).loss.detach(); }

bool has_loss_hessian(const LossGraph& graph) { return reading_of(graph).has_hessian; }

torch::autograd::Edge root_edge(const LossGraph& graph) { return loss_census(graph).roots.front(); }

const Census& loss_census(const LossGraph& graph) { return state_of(graph).below_loss; }

const torch::autograd::edge_list& output_edges(const LossGraph& graph) {
  return reading_of(graph).outputs;
}

const Census& network_census(const LossGraph& graph) {
  auto& census = state_of(graph).below_outputs;
  return census ? *census : census.emplace(output_edges(graph));
}

const Layers& layers_of(const LossGraph& graph) {
  auto& layers = state_of(graph).layers;
  return layers ? *layers : layers.emplace(find_layers(network_census(graph), graph.parameters()));
}

const ExampleGroups& example_groups_of(const LossGraph& graph) {
  auto& groups = state_of(graph).groups;
  if (!groups) {
    // One output needs no walk.
    groups = graph.outputs() == 1 ? ExampleGroups{{0}, 1}
                                  : example_groups(network_census(graph), graph.parameters());
  }
  return *groups;
}

void tell_examples(const LossGraph& graph, double examples) {
  state_of(graph).told_examples = examples;
}

double sum_over_examples(const LossGraph& graph,
                         const std::function<double(const LossTerm&)>& of_term) {
  const auto& groups = example_groups_of(graph);
  std::vector<double> largest(groups.count, 0);
  for (const auto& term : graph.terms()) {
    auto& of_group = largest[groups.of_output[term.output]];
    of_group = std::max(of_group, of_term(term));
  }
  return std::accumulate(largest.begin(), largest.end(), 0.);
}

const Linearization& linearization_of(const LossGraph& graph) {
  auto& state = state_of(graph);
  if (!state.linearization) {
    state.linearization = std::make_unique<const Linearization>(
        network_census(graph), state.parameters, state.streams.generator(Purpose::Linearization));
  }
  return *state.linearization;
}

const SecondDerivative& penalty_hessian_of(const LossGraph& graph) {
  auto& state = state_of(graph);
  if (!state.penalty_hessian) {
    const auto& penalties = reading_of(graph).penalties;
    state.penalty_hessian.emplace(penalties.edges, penalties.coefficients, state.parameters);
  }
  return *state.penalty_hessian;
}

}  // namespace detail

LossGraph::LossGraph(const Tensor& loss, std::vector<Tensor> parameters, RandomStreams streams,
                     Terms terms, Unread unread)
    : state_(std::make_shared<LossGraphState>(loss, std::move(parameters), streams, unread)) {
  check_hooks(state_->below_loss.nodes);
  keep_retain_grad_out(state_->below_loss.nodes);
  if (terms == Terms::Required) reading_of(*this);
}

const Tensor& LossGraph::gradient() const {
  auto& gradient = state_->gradient;
  if (!gradient.defined()) {
    const torch::NoGradGuard no_grad;
    gradient =
        state_->parameters.flatten(backward({root_edge(*this)}, {torch::ones_like(state_->loss)},
                                            edges_of(state_->parameters.tensors())));
  }
  return gradient;
}

const ParameterLayout& LossGraph::parameters() const { return state_->parameters; }
at::Generator LossGraph::generator(Purpose purpose) const {
  return state_->streams.generator(purpose);
}
bool LossGraph::is_readable() const { return is_read(readable(*state_)); }
const std::string& LossGraph::substitutes() const { return reading_of(*this).substitutes; }
const std::vector<LossTerm>& LossGraph::terms() const { return reading_of(*this).terms; }
size_t LossGraph::outputs() const { return reading_of(*this).outputs.size(); }
bool LossGraph::has_penalties() const { return !reading_of(*this).penalties.edges.empty(); }

std::vector<Tensor> LossGraph::multiply_jacobian(const Tensor& v) const {
  const torch::NoGradGuard no_grad;
  return linearization_of(*this).multiply(v);
}

Tensor LossGraph::multiply_jacobian_transposed(const std::vector<Tensor>& u) const {
  return linearization_of(*this).multiply_transposed(u);
}

void LossGraph::verify() const {
  if (state_->linearization) state_->linearization->verify();
}

std::vector<Tensor> LossGraph::multiply_loss_hessian(const std::vector<Tensor>& v) const {
  const auto& reading = detail::reading_of(*this);
  detail::check_own_loss(*state_, reading);
  return detail::multiply_loss_hessian(reading, v);
}

int64_t LossGraph::negative_weights() const {
  if (!state_->negative_weights) {
    int64_t count = 0;
    for (const auto& term : terms()) {
      if (!term.is_own()) count += term.weights.lt(0).sum().item<int64_t>();
    }
    state_->negative_weights = count;
  }
  return *state_->negative_weights;
}

std::vector<Tensor> sum_by_output(const LossGraph& graph,
                                  const std::function<Tensor(const LossTerm&)>& part) {
  std::vector<Tensor> sums(graph.outputs());
  for (const auto& term : graph.terms()) {
    auto& sum = sums[term.output];
    const auto added = part(term);
    if (added.defined()) sum = sum.defined() ? sum + added : added;
  }
  return sums;
}

int64_t LossGraph::examples_of(const LossTerm& term) const {
  if (term.likelihood) return term.likelihood->examples();
  const auto shape = shape_at(output_edges(*this)[term.output]);
  return shape.empty() ? 1 : shape[0];
}

int64_t LossGraph::examples() const {
  TORCH_CHECK(
      is_readable(),
      "natgrad: how many examples the loss is the mean of cannot be read off it. Mark the "
      "network's outputs with natgrad::outputs(z), say it with "
      "NaturalGradientOptions().examples(n), or use what does not ask for their number, such as a "
      "fixed damping.");
  int64_t examples = 1;
  for (const auto& term : terms()) examples = std::max(examples, examples_of(term));
  return examples;
}

double LossGraph::distinct_examples() const {
  if (state_->told_examples && !is_readable()) return *state_->told_examples;
  if (!is_readable()) return static_cast<double>(examples());  // throws
  return sum_over_examples(
      *this, [&](const LossTerm& term) { return static_cast<double>(examples_of(term)); });
}

}  // namespace natgrad
