#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/loss_graph_state.h"
#include "graph/mark_nodes.h"
#include "graph/term_readers.h"
#include "graph/walk.h"

#include <algorithm>

namespace natgrad {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::edge_list;

// A derivative that should vanish does so exactly, unless nested terms make it the difference of
// two equal numbers: then to the rounding of float32, relative to them.
constexpr double kSubtraction = 1e-4;

OutputsNode* outputs_mark(const Edge& edge) {
  return dynamic_cast<OutputsNode*>(edge.function.get());
}

/// While it lives, no gradient passes the user's marks: what lies below them counts as constant.
class MarksHeldFixed {
 public:
  explicit MarksHeldFixed(const edge_list& edges) {
    for (const auto& edge : edges) {
      if (auto* mark = outputs_mark(edge)) marks_.push_back(mark);
    }
    for (auto* mark : marks_) mark->held_fixed = true;
  }
  ~MarksHeldFixed() {
    for (auto* mark : marks_) mark->held_fixed = false;
  }
  MarksHeldFixed(const MarksHeldFixed&) = delete;
  MarksHeldFixed& operator=(const MarksHeldFixed&) = delete;

 private:
  std::vector<OutputsNode*> marks_;
};

Tensor zeros_at(const Edge& edge) { return torch::zeros(shape_at(edge), options_at(edge)); }

/// cₖ = ∂loss/∂(output of term k's node), differentiable.
struct Coefficients {
  std::vector<Tensor> received;  // as the engine brings them
  std::vector<Tensor> own;       // without what other terms send down through their networks
};

/// A term that lies below others gets, besides its own, what they send it: that is subtracted.
Coefficients coefficients_of(const Tensor& loss, const edge_list& nodes) {
  const MarksHeldFixed held_fixed(nodes);
  const auto root = torch::autograd::impl::gradient_edge(loss);
  auto received = backward({root}, {torch::ones_like(loss)}, nodes, Pass::Differentiable);
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (!received[k].defined()) received[k] = zeros_at(nodes[k]);
  }
  auto own = received;
  for (size_t k = 0; k + 1 < nodes.size(); ++k) {
    if (outputs_mark(nodes[k])) continue;
    auto lower = nodes;
    const auto below = reached_from(nodes[k], nodes);
    for (size_t j = 0; j < nodes.size(); ++j) {
      if (j <= k || !below[j]) lower[j] = Edge();
    }
    const auto sent = backward({nodes[k]}, {own[k].detach()}, lower, Pass::Differentiable);
    for (size_t j = k + 1; j < nodes.size(); ++j) {
      if (sent[j].defined()) own[j] = own[j] - sent[j];
    }
  }
  return {received, own};
}

/// ∂(probe · the coefficients of likelihood terms and penalties)/∂(each term's output).
std::vector<Tensor> derivatives_of(const std::vector<Tensor>& coefficients,
                                   const std::vector<Tensor>& probes, const edge_list& nodes) {
  edge_list roots;
  std::vector<Tensor> cotangents;
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (outputs_mark(nodes[k]) || !coefficients[k].requires_grad()) continue;
    roots.push_back(torch::autograd::impl::gradient_edge(coefficients[k]));
    cotangents.push_back(probes[k]);
  }
  const MarksHeldFixed held_fixed(nodes);
  return backward(roots, cotangents, nodes);
}

double largest_entry(const Tensor& t) {
  return t.defined() && t.numel() > 0 ? t.abs().max().item<double>() : 0;
}

[[noreturn]] void reject_nonlinear(const torch::autograd::Node& node) {
  TORCH_CHECK(
      false, "natgrad: the loss is not linear in its part at ", node.name(),
      " (as in a focal loss, the logarithm of a loss, a product of losses, or a learned weight of "
      "a loss), so its curvature is not that of the likelihood there. Write the loss as a function "
      "of natgrad::outputs(z) if it is convex in z, and its Hessian in z is taken by autograd; if "
      "it "
      "is not, name the distribution, natgrad::outputs(natgrad::Categorical(z)). A parameter s "
      "that "
      "weighs the loss is such an output too, natgrad::outputs(s).");
}

/// The coefficients of likelihood terms and penalties must not depend on any term's output: one
/// random probe.
void check_linearity(const edge_list& nodes, const Coefficients& coefficients,
                     at::Generator& generator) {
  const auto depends = [](const Tensor& c) { return c.requires_grad(); };
  if (std::none_of(coefficients.own.begin(), coefficients.own.end(), depends)) return;
  std::vector<Tensor> probes;
  for (const auto& c : coefficients.own) {
    probes.push_back(random_normal(c.sizes(), c.options(), generator));
  }
  const auto derivatives = derivatives_of(coefficients.own, probes, nodes);
  if (std::none_of(derivatives.begin(), derivatives.end(),
                   [](const Tensor& d) { return largest_entry(d) > 0; })) {
    return;
  }
  bool nested = false;
  for (size_t k = 0; k < nodes.size(); ++k) {
    nested = nested || !coefficients.own[k].is_same(coefficients.received[k]);
  }
  const auto before_subtraction = derivatives_of(coefficients.received, probes, nodes);
  for (size_t k = 0; k < nodes.size(); ++k) {
    const double rounding = nested ? kSubtraction * largest_entry(before_subtraction[k]) : 0;
    if (largest_entry(derivatives[k]) > rounding) reject_nonlinear(*nodes[k].function);
  }
}

}  // namespace

LossGraph::State::State(Tensor loss, std::vector<Tensor> parameters, at::Generator generator)
    : loss(std::move(loss)), parameters(std::move(parameters)), generator(std::move(generator)) {}

LossGraph::LossGraph(const Tensor& loss, std::vector<Tensor> parameters, at::Generator generator,
                     Terms terms)
    : state_(std::make_shared<State>(loss, std::move(parameters), std::move(generator))) {
  const torch::AutoGradMode enable_grad(true);
  check_loss(loss);
  check_hooks(loss);
  state_->suspended.emplace(loss);
  if (terms == Terms::Required) read();
}

const Tensor& LossGraph::gradient() const {
  auto& gradient = state_->gradient;
  if (!gradient.defined()) {
    const torch::NoGradGuard no_grad;
    gradient = state_->parameters.flatten(backward({root()}, {torch::ones_like(state_->loss)},
                                                   edges_of(state_->parameters.tensors())));
  }
  return gradient;
}

Edge LossGraph::root() const { return torch::autograd::impl::gradient_edge(state_->loss); }

const ParameterLayout& LossGraph::parameters() const { return state_->parameters; }
at::Generator LossGraph::generator() const { return state_->generator; }
const std::vector<LossTerm>& LossGraph::terms() const { return read().terms; }
const edge_list& LossGraph::outputs() const { return read().outputs; }
bool LossGraph::has_penalties() const { return !read().penalties.empty(); }

bool LossGraph::is_readable() const {
  try {
    read();
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

LossGraph::State& LossGraph::read() const {
  if (state_->is_read) return *state_;
  if (state_->reading_error) std::rethrow_exception(state_->reading_error);
  try {
    const torch::AutoGradMode enable_grad(true);
    read_terms();
  } catch (const c10::Error&) {
    state_->reading_error = std::current_exception();
    throw;
  }
  state_->is_read = true;
  return *state_;
}

void LossGraph::read_terms() const {
  const auto parts = find_parts(state_->loss, state_->parameters.tensors());
  const auto& nodes = parts.edges;
  const auto coefficients = coefficients_of(state_->loss, nodes);
  check_linearity(nodes, coefficients, state_->generator);
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (parts.is_penalty[k]) {
      state_->penalties.edges.push_back(nodes[k]);
      state_->penalties.coefficients.push_back(coefficients.own[k].detach());
    } else {
      add_term(nodes[k], coefficients.own[k]);
    }
  }
}

void LossGraph::add_term(const Edge& node, const Tensor& coefficient) const {
  if (auto* mark = outputs_mark(node)) {
    if (mark->distribution) check_mark(*mark);
    state_->terms.push_back({output_index(node), mark->distribution, Tensor(), coefficient, node});
    return;
  }
  auto reading = read_term(*node.function, coefficient);
  if (!reading.gradient.defined()) {
    reading.argument = reading.outputs;
    reading.gradient =
        backward({node}, {coefficient.detach()}, {reading.outputs}, Pass::Differentiable).front();
  }
  merge({output_index(reading.outputs), reading.likelihood, reading.weights, reading.gradient,
         reading.argument});
}

/// One distribution counts once.
void LossGraph::check_mark(const OutputsNode& mark) const {
  check_unchanged(*mark.distribution, mark.version);
  for (const auto& term : state_->terms) {
    const auto* other = outputs_mark(state_->outputs[term.output]);
    TORCH_CHECK(!other || !other->distribution || other->next_edge(0) != mark.next_edge(0),
                "natgrad: the outputs of ", mark.distribution->describe(),
                " are marked twice, and would count twice. Mark them once, auto z = "
                "natgrad::outputs(distribution), and use z throughout the loss.");
  }
}

void LossGraph::merge(LossTerm added) const {
  for (auto& term : state_->terms) {
    const bool same = !term.is_own() && term.output == added.output &&
                      term.argument == added.argument &&
                      term.likelihood->same_family(*added.likelihood);
    if (!same) continue;
    term.weights = term.weights + added.weights;
    term.gradient = term.gradient + added.gradient;
    return;
  }
  state_->terms.push_back(std::move(added));
}

size_t LossGraph::output_index(const Edge& edge) const {
  auto& outputs = state_->outputs;
  const auto found = std::find(outputs.begin(), outputs.end(), edge);
  const auto index = static_cast<size_t>(found - outputs.begin());
  if (index == outputs.size()) outputs.push_back(edge);
  return index;
}

const Linearization& LossGraph::linearization() const {
  if (!state_->linearization) {
    state_->linearization =
        std::make_unique<const Linearization>(outputs(), state_->parameters, state_->generator);
  }
  return *state_->linearization;
}

void LossGraph::verify() const {
  if (state_->linearization) state_->linearization->verify();
}

std::vector<Tensor> LossGraph::multiply_loss_hessian(const std::vector<Tensor>& v) const {
  std::vector<Tensor> product(outputs().size());
  const auto add = [&](size_t output, const Tensor& part) {
    if (!part.defined()) return;
    product[output] = product[output].defined() ? product[output] + part : part;
  };
  edge_list own_roots,
      own_outputs;  // of the user's own loss: its Hessian may couple several outputs
  std::vector<Tensor> own_cotangents;
  std::vector<size_t> own_indices;
  for (const auto& term : terms()) {
    if (!term.gradient.defined() || !term.gradient.requires_grad()) continue;
    const auto root = torch::autograd::impl::gradient_edge(term.gradient);
    if (!term.is_own()) {
      add(term.output, backward({root}, {v[term.output]}, {term.argument}).front());
      continue;
    }
    own_roots.push_back(root);
    own_cotangents.push_back(v[term.output]);
  }
  if (own_roots.empty()) return product;
  for (size_t k = 0; k < state_->outputs.size(); ++k) {
    if (!outputs_mark(state_->outputs[k])) continue;
    own_outputs.push_back(state_->outputs[k]);
    own_indices.push_back(k);
  }
  const MarksHeldFixed held_fixed(state_->outputs);
  const auto own = backward(own_roots, own_cotangents, own_outputs);
  for (size_t i = 0; i < own.size(); ++i) add(own_indices[i], own[i]);
  return product;
}

const SecondDerivative& LossGraph::penalty_hessian() const {
  auto& hessian = state_->penalty_hessian;
  if (!hessian) {
    const auto& penalties = read().penalties;
    hessian.emplace(penalties.edges, penalties.coefficients, state_->parameters);
  }
  return *hessian;
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

bool has_finite_outputs(const Tensor& loss, const std::vector<Tensor>& parameters) {
  const auto parts = find_parts(loss, parameters);
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    const auto& node = parts.edges[k];
    if (parts.is_penalty[k]) continue;
    const auto* mark = outputs_mark(node);
    if (mark && !mark->distribution) continue;
    const auto likelihood =
        mark ? mark->distribution : read_term(*node.function, zeros_at(node)).likelihood;
    const auto& z = likelihood->outputs();
    if (z.isfinite().any().item<bool>()) return true;
  }
  return false;
}

std::vector<Tensor> sum_by_output(const LossGraph& graph,
                                  const std::function<Tensor(const LossTerm&)>& part) {
  std::vector<Tensor> sums(graph.outputs().size());
  for (const auto& term : graph.terms()) {
    auto& sum = sums[term.output];
    const auto added = part(term);
    if (added.defined()) sum = sum.defined() ? sum + added : added;
  }
  return sums;
}

int64_t LossGraph::examples_of(const LossTerm& term) const {
  if (term.likelihood) return term.likelihood->examples();
  const auto shape = shape_at(outputs()[term.output]);
  return shape.empty() ? 1 : shape[0];
}

int64_t LossGraph::examples() const {
  TORCH_CHECK(is_readable(),
              "natgrad: how many examples the loss is the mean of cannot be read off it. Mark the "
              "network's outputs with natgrad::outputs(z), or use Tikhonov(lambda), a damping that "
              "does not ask.");
  int64_t examples = 1;
  for (const auto& term : terms()) examples = std::max(examples, examples_of(term));
  return examples;
}

}  // namespace natgrad
