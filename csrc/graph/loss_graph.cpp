#include <natgrad/graph/backward.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/graph/walk.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>

namespace natgrad {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::edge_list;

// The derivative of a coefficient that depends on an output is of the coefficient's own size. It is
// zero without rounding where no terms are nested; where they are, two equal numbers are
// subtracted.
constexpr double kLinearityDouble = 1e-9, kLinearityFloat = 1e-3;

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

/// cₖ = ∂loss/∂(output of term k's node), differentiable. A term that lies below others gets the
/// gradient that arrives past them: what they send down through their networks is subtracted.
std::vector<Tensor> coefficients_of(const Tensor& loss, const edge_list& nodes) {
  const MarksHeldFixed held_fixed(nodes);
  const auto root = torch::autograd::impl::gradient_edge(loss);
  auto coefficients = backward({root}, {torch::ones_like(loss)}, nodes, Pass::Differentiable);
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (!coefficients[k].defined()) coefficients[k] = zeros_at(nodes[k]);
    if (nodes.size() == 1 || outputs_mark(nodes[k])) continue;
    const auto below = reached_from(nodes[k], nodes);
    edge_list lower;
    for (size_t j = k + 1; j < nodes.size(); ++j) {
      if (below[j]) lower.push_back(nodes[j]);
    }
    if (lower.empty()) continue;
    const auto sent = backward({nodes[k]}, {coefficients[k].detach()}, lower, Pass::Differentiable);
    for (size_t j = k + 1, i = 0; j < nodes.size(); ++j) {
      if (!below[j]) continue;
      if (sent[i].defined() && coefficients[j].defined())
        coefficients[j] = coefficients[j] - sent[i];
      ++i;
    }
  }
  return coefficients;
}

/// The likelihood terms' coefficients must not depend on any term's output: one random probe.
void check_linearity(const edge_list& nodes, const std::vector<Tensor>& coefficients,
                     at::Generator& generator) {
  edge_list roots;
  std::vector<Tensor> probes;
  double rounding = 0;
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (outputs_mark(nodes[k]) || !coefficients[k].requires_grad()) continue;
    roots.push_back(torch::autograd::impl::gradient_edge(coefficients[k]));
    probes.push_back(random_normal(coefficients[k].sizes(), coefficients[k].options(), generator));
    const double tolerance =
        coefficients[k].scalar_type() == torch::kDouble ? kLinearityDouble : kLinearityFloat;
    rounding = std::max(rounding, tolerance * coefficients[k].abs().max().item<double>());
  }
  if (roots.empty()) return;
  const MarksHeldFixed held_fixed(nodes);
  const auto derivatives = backward(roots, probes, nodes);
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (!derivatives[k].defined() || derivatives[k].numel() == 0) continue;
    TORCH_CHECK(derivatives[k].abs().max().item<double>() <= rounding,
                "natgrad: the loss is not linear in its term at ", nodes[k].function->name(),
                " (as in a focal loss, the logarithm of a loss, or a product of losses), so its "
                "curvature is "
                "not that of the likelihood there. Write the loss as a function of "
                "natgrad::outputs(z), and "
                "its Hessian in z is taken by autograd.");
  }
}

}  // namespace

LossGraph::State::State(std::vector<Tensor> parameters, at::Generator generator)
    : parameters(std::move(parameters)), generator(std::move(generator)) {}

LossGraph::LossGraph(const Tensor& loss, std::vector<Tensor> parameters, at::Generator generator)
    : state_(std::make_shared<State>(std::move(parameters), std::move(generator))) {
  const torch::AutoGradMode enable_grad(true);
  check_loss(loss);
  check_hooks(loss);
  state_->suspended.emplace(loss);
  const auto nodes = find_terms(loss, state_->parameters.tensors());
  const auto coefficients = coefficients_of(loss, nodes);
  check_linearity(nodes, coefficients, state_->generator);
  for (size_t k = 0; k < nodes.size(); ++k) add_term(nodes[k], coefficients[k]);
  state_->gradient = state_->parameters.flatten(
      backward({torch::autograd::impl::gradient_edge(loss)}, {torch::ones_like(loss)},
               edges_of(state_->parameters.tensors())));
}

void LossGraph::add_term(const Edge& node, const Tensor& coefficient) {
  if (outputs_mark(node)) {
    state_->terms.push_back({output_index(node), nullptr, Tensor(), coefficient});
    return;
  }
  auto reading = read_term(*node.function, coefficient);
  const Tensor gradient =
      backward({node}, {coefficient.detach()}, {reading.outputs}, Pass::Differentiable).front();
  const size_t output = output_index(reading.outputs);
  for (auto& term : state_->terms) {
    const bool same = term.likelihood && term.output == output &&
                      term.likelihood->describe() == reading.likelihood->describe();
    if (!same) continue;
    term.weights = term.weights + reading.weights;
    term.gradient = term.gradient + gradient;
    return;
  }
  state_->terms.push_back({output, reading.likelihood, reading.weights, gradient});
}

size_t LossGraph::output_index(const Edge& edge) {
  auto& outputs = state_->outputs;
  const auto found = std::find(outputs.begin(), outputs.end(), edge);
  const auto index = static_cast<size_t>(found - outputs.begin());
  if (index == outputs.size()) outputs.push_back(edge);
  return index;
}

const Linearization& LossGraph::linearization() const {
  if (!state_->linearization) {
    state_->linearization = std::make_unique<const Linearization>(
        state_->outputs, state_->parameters, state_->generator);
  }
  return *state_->linearization;
}

std::vector<Tensor> LossGraph::multiply_loss_hessian(const std::vector<Tensor>& v) const {
  std::vector<Tensor> product(state_->outputs.size());
  const auto add = [&](size_t output, const Tensor& part) {
    if (!part.defined()) return;
    product[output] = product[output].defined() ? product[output] + part : part;
  };
  edge_list own_roots,
      own_outputs;  // of the user's own loss: its Hessian may couple several outputs
  std::vector<Tensor> own_cotangents;
  std::vector<size_t> own_indices;
  for (const auto& term : state_->terms) {
    if (!term.gradient.defined() || !term.gradient.requires_grad()) continue;
    const auto root = torch::autograd::impl::gradient_edge(term.gradient);
    if (term.likelihood) {
      add(term.output, backward({root}, {v[term.output]}, {state_->outputs[term.output]}).front());
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

bool has_finite_outputs(const Tensor& loss, const std::vector<Tensor>& parameters) {
  for (const auto& node : find_terms(loss, parameters)) {
    if (outputs_mark(node)) return false;
    const auto z = read_term(*node.function, zeros_at(node)).likelihood->outputs();
    if (!z.isfinite().all().item<bool>()) return false;
  }
  return true;
}

int64_t LossGraph::examples() const {
  int64_t examples = 1;
  for (const auto& output : state_->outputs) {
    const auto shape = shape_at(output);
    if (!shape.empty()) examples = std::max(examples, shape[0]);
  }
  return examples;
}

}  // namespace natgrad
