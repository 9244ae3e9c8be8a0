#include "graph/captured_rows.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>

#include "graph/capture.h"
#include "graph/coupled_examples.h"
#include "graph/loss_graph_state.h"
#include "graph/pull_back_examples.h"
#include "graph/stacked_captures.h"
#include "libtorch/plain_arithmetic.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Rows that are formed number by number: 128 MB in float32.
constexpr int64_t kMostNumbers = 1 << 25;

std::string uncovered(const std::vector<bool>& covers) {
  const auto first = std::find(covers.begin(), covers.end(), false);
  if (first == covers.end()) return {};
  return fmt::format("parameter {} takes part in ops that natgrad knows no rows of",
                     first - covers.begin());
}

Capture capture_independent(const GradientSlots& u, const LossGraph& graph) {
  check_examples_are_independent(network_census(graph));
  return capture_slots(u, graph);
}

/// The rows of a parameter that no layer covers.
Tensor rows_by_passes(const GradientSlots& slots, const LossGraph& graph, const Tensor& parameter) {
  std::vector<Tensor> rows;
  for (const auto& u : slots) {
    rows.push_back(
        pull_back_examples(u, network_census(graph).columns(), graph.examples(), {parameter}));
  }
  return torch::cat(rows);
}

}  // namespace

std::string why_rows_are_dear(const LossGraph& graph) {
  if (const auto* node = find_batch_normalisation(network_census(graph))) {
    return fmt::format("{} in training mode couples the examples", node->name());
  }
  return uncovered(layers_of(graph).covers);
}

namespace {

/// How many numbers of the rows are formed.
int64_t numbers_formed(const Capture& captured, const ParameterLayout& parameters) {
  const auto plain = plain_parameters(captured), tables = large_tables(captured, parameters);
  int64_t numbers = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (!plain[i] && !tables[i]) numbers += captured.examples * parameters.tensors()[i].numel();
  }
  return numbers;
}

}  // namespace

bool are_too_many(const Capture& captured, const ParameterLayout& parameters) {
  return numbers_formed(captured, parameters) > kMostNumbers;
}

std::string why_rows_are_dear(const Capture& captured, const ParameterLayout& parameters) {
  if (auto reason = uncovered(captured.covers); !reason.empty()) return reason;
  if (!are_too_many(captured, parameters)) return {};
  return fmt::format("the gradients of {} single examples are {} numbers", captured.examples,
                     numbers_formed(captured, parameters));
}

Capture capture_slots(const GradientSlots& u, const LossGraph& graph) {
  std::vector<Capture> captures;
  for (const auto& slot : u) captures.push_back(capture_below(slot, graph));
  return stack(std::move(captures));
}

CapturedRows::CapturedRows(const GradientSlots& u, const LossGraph& graph)
    : CapturedRows(u, capture_independent(u, graph), graph) {}

CapturedRows::CapturedRows(const GradientSlots& u, Capture captured, const LossGraph& graph)
    : parameters_(graph.parameters()), rows_(captured.examples) {
  const torch::NoGradGuard no_grad;
  const auto plain = plain_parameters(captured), tables = large_tables(captured, parameters_);
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
      explicit_.push_back({i, rows_by_passes(u, graph, parameters_.tensors()[i])});
    } else if (tables[i]) {
      tables_.emplace_back(captured, i, value);
    } else if (!plain[i] && takes_part(captured, i)) {
      explicit_.push_back({i, rows_of_layers(captured, captured.deltas, i, value)});
    }
  }
}

Tensor CapturedRows::multiply(const Tensor& v) const {
  const PlainArithmetic plain;
  const auto pieces = parameters_.views(v);
  Tensor product;
  const auto add = [&product](Tensor part) {
    product = product.defined() ? product.add_(part) : std::move(part);
  };
  for (const auto& layer : factored_) {
    if (!layer.weight) {
      add(layer.delta.mv(pieces[*layer.bias].reshape(-1)));
      continue;
    }
    const auto W = layer.is_input_by_output ? pieces[*layer.weight] : pieces[*layer.weight].t();
    auto outputs = layer.bias ? torch::addmm(pieces[*layer.bias].reshape(-1), layer.input, W)
                              : layer.input.mm(W);
    add(outputs.mul_(layer.delta).sum(1));
  }
  for (const auto& block : explicit_) {
    add(block.rows.mv(pieces[block.parameter].reshape(-1)));
  }
  for (const auto& table : tables_) add(table.multiply(pieces[table.parameter()]));
  return product.defined() ? product : torch::zeros({rows_}, v.options());
}

Tensor CapturedRows::multiply_transposed(const Tensor& u) const {
  const PlainArithmetic plain;
  auto product = torch::zeros({parameters_.size()}, parameters_.options());
  auto pieces = parameters_.views(product);
  const auto column = u.unsqueeze(1);
  for (const auto& layer : factored_) {
    const auto weighted = layer.delta * column;
    if (layer.weight) {
      auto& W = pieces[*layer.weight];
      layer.is_input_by_output ? torch::mm_out(W, layer.input.t(), weighted)
                               : torch::mm_out(W, weighted.t(), layer.input);
    }
    if (layer.bias) {
      auto b = pieces[*layer.bias].view(-1);
      torch::sum_out(b, weighted, 0);
    }
  }
  for (const auto& block : explicit_) {
    auto piece = pieces[block.parameter].view(-1);
    torch::mv_out(piece, block.rows.t(), u);
  }
  for (const auto& table : tables_) table.add_transposed(u, pieces[table.parameter()]);
  return product;
}

// RRᵀ is symmetric: by bands of so many rows, of which only the columns up to the diagonal are
// formed, it takes little more than half of the products. On one core narrower bands cost more in
// the products' efficiency than they save.
constexpr int64_t kBand = 128;

const Tensor& CapturedRows::gram() const {
  if (gram_.defined()) return gram_;
  const PlainArithmetic plain;
  gram_ = torch::empty({rows_, rows_}, parameters_.options());
  for (int64_t begin = 0; begin < rows_; begin += kBand) {
    fill_gram(begin, std::min(begin + kBand, rows_));
  }
  for (const auto& table : tables_) table.add_gram(gram_);
  return gram_;
}

void CapturedRows::fill_gram(int64_t begin, int64_t end) const {
  auto band = gram_.slice(0, begin, end).slice(1, 0, end).zero_();
  const auto add = [&](const Tensor& rows) {
    return rows.slice(0, begin, end).mm(rows.slice(0, 0, end).t());
  };
  for (const auto& layer : factored_) {
    const auto deltas = add(layer.delta);
    if (!layer.weight) {
      band.add_(deltas);
      continue;
    }
    auto inputs = add(layer.input);
    if (layer.bias) inputs.add_(1);
    band.addcmul_(inputs, deltas);
  }
  for (const auto& block : explicit_) band.add_(add(block.rows));
  if (begin == 0) return;
  gram_.slice(0, 0, begin).slice(1, begin, end).copy_(band.slice(1, 0, begin).t());
}

namespace {

// Of a call, in multiplications and additions of a matrix product.
constexpr double kCallOfRows = 2e4;
// A product of a matrix with a vector is as fast as it is read, not as a core multiplies.
constexpr double kMatrixVector = 4;

}  // namespace

RootCosts CapturedRows::costs() const {
  double numbers = 0, inputs = 0, calls = 0;
  for (const auto& layer : factored_) {
    const auto out = static_cast<double>(layer.delta.size(1));
    const auto in = layer.weight ? static_cast<double>(layer.input.size(1)) : 1;
    numbers += in * out;
    inputs += in + out;
    calls += 5;
  }
  for (const auto& block : explicit_) {
    numbers += kMatrixVector * static_cast<double>(block.rows.size(1));
    inputs += static_cast<double>(block.rows.size(1));
    calls += 2;
  }
  for (const auto& table : tables_) {
    numbers += kMatrixVector * static_cast<double>(table.numbers()) / static_cast<double>(rows_);
    inputs += static_cast<double>(table.numbers_of_gram());
    calls += 5;
  }
  const auto N = static_cast<double>(rows_);
  const double share = (1 + std::min(1., kBand / N)) / 2;  // of RRᵀ that is formed
  return {2 * (N * numbers + kCallOfRows * calls), share * N * N * inputs + kCallOfRows * calls};
}

Tensor CapturedRows::squared_norms() const {
  const PlainArithmetic plain;
  if (gram_.defined()) return gram_.diagonal().clone();
  auto norms = torch::zeros({rows_}, parameters_.options());
  for (const auto& layer : factored_) {
    auto inputs = layer.weight ? layer.input.square().sum(1) : torch::zeros_like(norms);
    if (layer.bias) inputs.add_(1);
    norms.addcmul_(inputs, layer.delta.square().sum(1));
  }
  for (const auto& block : explicit_) norms.add_(block.rows.square().sum(1));
  for (const auto& table : tables_) norms.add_(table.squared_norms());
  return norms;
}

}  // namespace natgrad::detail
