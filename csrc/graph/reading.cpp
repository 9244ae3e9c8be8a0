#include "graph/reading.h"

#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>

#include "graph/backward.h"
#include "graph/coefficients.h"
#include "graph/mark_nodes.h"
#include "graph/term_readers.h"
#include "graph/walk.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::edge_list;

/// Where `edge` stands among `edges`, at the end if it was not there.
size_t index_of(const Edge& edge, edge_list& edges) {
  const auto found = std::find(edges.begin(), edges.end(), edge);
  const auto index = static_cast<size_t>(found - edges.begin());
  if (index == edges.size()) edges.push_back(edge);
  return index;
}

/// One distribution counts once.
void check_mark(const Reading& reading, const OutputsNode& mark) {
  check_unchanged(*mark.distribution, mark.version);
  for (const auto& term : reading.terms) {
    const auto* other = outputs_mark(reading.outputs[term.output]);
    NATGRAD_CHECK_READABLE(
        !other || !other->distribution || other->next_edge(0) != mark.next_edge(0),
        "natgrad: the outputs of ", mark.distribution->describe(),
        " are marked twice, and would count twice. Mark them once, auto z = "
        "natgrad::outputs(distribution), and use z throughout the loss.");
  }
}

void merge(Reading& reading, LossTerm added, const Edge& argument) {
  for (size_t k = 0; k < reading.terms.size(); ++k) {
    auto& term = reading.terms[k];
    const bool same = !term.is_own() && term.output == added.output &&
                      reading.arguments[k] == argument &&
                      term.likelihood->same_family(*added.likelihood);
    if (!same) continue;
    term.weights = term.weights + added.weights;
    term.gradient = term.gradient + added.gradient;
    return;
  }
  reading.terms.push_back(std::move(added));
  reading.arguments.push_back(argument);
}

void add_term(Reading& reading, const Edge& node, const Tensor& coefficient) {
  if (auto* mark = outputs_mark(node)) {
    if (mark->distribution) check_mark(reading, *mark);
    reading.terms.push_back(
        {index_of(node, reading.outputs), mark->distribution, Tensor(), coefficient});
    reading.arguments.push_back(node);
    return;
  }
  auto term = read_term(*node.function, coefficient);
  if (!term.gradient.defined()) {
    term.argument = term.outputs;
    term.gradient =
        backward({node}, {coefficient.detach()}, {term.outputs}, Pass::Differentiable).front();
  }
  merge(reading,
        {index_of(term.outputs, reading.outputs), term.likelihood, term.weights, term.gradient},
        term.argument);
}

Reading read_parts(const LossParts& parts, const Coefficients& coefficients) {
  Reading reading;
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    if (parts.is_penalty[k]) {
      reading.penalties.edges.push_back(parts.edges[k]);
      reading.penalties.coefficients.push_back(coefficients.own[k].detach());
    } else {
      add_term(reading, parts.edges[k], coefficients.own[k]);
    }
  }
  return reading;
}

}  // namespace

Readable<Reading> read_loss(const Tensor& loss, const std::vector<Tensor>& parameters,
                            const std::function<at::Generator()>& generator) {
  const torch::AutoGradMode enable_grad(true);
  return as_readable([&] {
    const auto parts = find_parts(loss, parameters);
    const auto pass = parts.is_linear_by_kind ? Pass::Plain : Pass::Differentiable;
    const auto coefficients = coefficients_of(loss, parts.edges, pass);
    if (!parts.is_linear_by_kind) check_linearity(parts.edges, coefficients, generator());
    return read_parts(parts, coefficients);
  });
}

std::vector<Tensor> multiply_loss_hessian(const Reading& reading, const std::vector<Tensor>& v) {
  std::vector<Tensor> product(reading.outputs.size());
  const auto add = [&](size_t output, const Tensor& part) {
    if (!part.defined()) return;
    product[output] = product[output].defined() ? product[output] + part : part;
  };
  edge_list own_roots, own_outputs;  // of the user's own loss: it may couple several outputs
  std::vector<Tensor> own_cotangents;
  std::vector<size_t> own_indices;
  for (size_t k = 0; k < reading.terms.size(); ++k) {
    const auto& term = reading.terms[k];
    if (!term.gradient.defined() || !term.gradient.requires_grad()) continue;
    const auto root = torch::autograd::impl::gradient_edge(term.gradient);
    if (!term.is_own()) {
      add(term.output, backward({root}, {v[term.output]}, {reading.arguments[k]}).front());
      continue;
    }
    own_roots.push_back(root);
    own_cotangents.push_back(v[term.output]);
  }
  if (own_roots.empty()) return product;
  for (size_t k = 0; k < reading.outputs.size(); ++k) {
    if (!outputs_mark(reading.outputs[k])) continue;
    own_outputs.push_back(reading.outputs[k]);
    own_indices.push_back(k);
  }
  const auto own = backward(own_roots, own_cotangents, own_outputs, Pass::Plain, Marks::Hold);
  for (size_t i = 0; i < own.size(); ++i) add(own_indices[i], own[i]);
  return product;
}

Readable<bool> has_finite_outputs(const Tensor& loss, const std::vector<Tensor>& parameters) {
  return as_readable([&] {
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
  });
}

}  // namespace natgrad::detail
