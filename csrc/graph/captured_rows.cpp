#include "graph/captured_rows.h"

#include <torch/torch.h>

#include "graph/capture.h"
#include "graph/coupled_examples.h"
#include "graph/loss_graph_state.h"
#include "graph/pull_back_examples.h"

namespace natgrad::detail {

using torch::Tensor;

CapturedRows::CapturedRows(const OutputGradients& u, const LossGraph& graph)
    : parameters_(graph.parameters()), rows_(graph.examples()) {
  const torch::NoGradGuard no_grad;
  check_examples_are_independent(network_census(graph));
  const auto captured = capture_below(u, graph);
  const auto plain = plain_parameters(captured);
  const auto dtype = parameters_.options().dtype();
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    const auto& layer = captured.layers[k];
    const auto if_plain = [&](std::optional<size_t> i) {
      return i && plain[*i] ? i : std::nullopt;
    };
    const auto weight = if_plain(layer.weight), bias = if_plain(layer.bias);
    if (!weight && !bias) continue;
    factored_.push_back({weight, bias, weight ? layer.input.to(dtype) : Tensor(),
                         captured.deltas[k].to(dtype), layer.is_input_by_output});
  }
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto value = parameters_.tensors()[i].detach();
    if (!captured.covers[i]) {
      const auto columns = network_census(graph).columns();
      explicit_.push_back({i, pull_back_examples(u, columns, rows_, {parameters_.tensors()[i]})});
    } else if (!plain[i] && takes_part(captured, i)) {
      explicit_.push_back({i, rows_of_layers(captured, captured.deltas, i, value)});
    }
  }
}

Tensor CapturedRows::multiply(const Tensor& v) const {
  const torch::NoGradGuard no_grad;
  const auto pieces = parameters_.views(v);
  auto product = torch::zeros({rows_}, v.options());
  for (const auto& layer : factored_) {
    Tensor outputs;
    if (layer.weight) {
      const auto& W = pieces[*layer.weight];
      outputs = layer.input.mm(layer.is_input_by_output ? W : W.t());
      if (layer.bias) outputs.add_(pieces[*layer.bias]);
      product.add_(outputs.mul_(layer.delta).sum(1));
    } else {
      product.addmv_(layer.delta, pieces[*layer.bias].reshape(-1));
    }
  }
  for (const auto& block : explicit_) {
    product.addmv_(block.rows, pieces[block.parameter].reshape(-1));
  }
  return product;
}

Tensor CapturedRows::multiply_transposed(const Tensor& u) const {
  const torch::NoGradGuard no_grad;
  auto product = torch::zeros({parameters_.size()}, parameters_.options());
  const auto pieces = parameters_.views(product);
  for (const auto& layer : factored_) {
    const auto weighted = layer.delta * u.unsqueeze(1);
    if (layer.weight) {
      auto W = pieces[*layer.weight];
      layer.is_input_by_output ? W.addmm_(layer.input.t(), weighted)
                               : W.addmm_(weighted.t(), layer.input);
    }
    if (layer.bias) {
      auto b = pieces[*layer.bias];
      b.add_(weighted.sum(0).view(b.sizes()));
    }
  }
  for (const auto& block : explicit_) {
    auto piece = pieces[block.parameter];
    piece.view(-1).addmv_(block.rows.t(), u);
  }
  return product;
}

Tensor CapturedRows::gram() const {
  const torch::NoGradGuard no_grad;
  auto gram = torch::zeros({rows_, rows_}, parameters_.options());
  for (const auto& layer : factored_) {
    auto inner = layer.weight ? layer.input.mm(layer.input.t()) : torch::zeros_like(gram);
    if (layer.bias) inner.add_(1);
    gram.addcmul_(inner, layer.delta.mm(layer.delta.t()));
  }
  for (const auto& block : explicit_) gram.addmm_(block.rows, block.rows.t());
  return gram;
}

Tensor CapturedRows::squared_norms() const {
  const torch::NoGradGuard no_grad;
  auto norms = torch::zeros({rows_}, parameters_.options());
  for (const auto& layer : factored_) {
    auto inputs = layer.weight ? layer.input.square().sum(1) : torch::zeros_like(norms);
    if (layer.bias) inputs.add_(1);
    norms.addcmul_(inputs, layer.delta.square().sum(1));
  }
  for (const auto& block : explicit_) norms.add_(block.rows.square().sum(1));
  return norms;
}

}  // namespace natgrad::detail
