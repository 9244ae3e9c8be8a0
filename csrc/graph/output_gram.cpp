#include "graph/output_gram.h"
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/loss_graph_state.h"

#include <algorithm>

#include "graph/capture.h"
#include "graph/layer_gradients.h"
#include "graph/pull_back_examples.h"
#include "graph/pull_back_many.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;

// Numbers of rows that are turned into double at once: 32 MiB.
constexpr int64_t kNumbersInDouble = int64_t{1} << 22;

/// u with the examples in dimension 1, below D directions.
struct Directions {
  torch::autograd::edge_list edges;
  std::vector<Tensor> blocks;  ///< by output, [D, N, ...]
  int64_t count = 0, examples = 0;
  int64_t rows() const { return count * examples; }
};

Directions directions_of(const LossGraph& graph, const std::vector<Tensor>& u) {
  const auto first =
      std::find_if(u.begin(), u.end(), [](const Tensor& block) { return block.defined(); });
  TORCH_CHECK(u.size() == graph.outputs() && first != u.end() && first->dim() >= 2,
              "natgrad: a Gram matrix needs u of [D, N, ...] for the ", graph.outputs(),
              " outputs, but got ", u.size(), " tensors.");
  Directions result{output_edges(graph), {}, first->size(0), first->size(1)};
  for (size_t k = 0; k < u.size(); ++k) {
    auto shape = shape_at(result.edges[k]).vec();
    TORCH_CHECK(!shape.empty() && shape[0] == result.examples,
                "natgrad: a Gram matrix needs the examples in dimension 0 of every output of the "
                "network, but one is of shape ",
                shape_at(result.edges[k]), " and there are ", result.examples, " examples.");
    shape.insert(shape.begin(), result.count);
    TORCH_CHECK(!u[k].defined() || u[k].sizes() == at::IntArrayRef(shape),
                "natgrad: a Gram matrix needs u of shape ", at::IntArrayRef(shape),
                ", but got shape ", u[k].defined() ? u[k].sizes() : at::IntArrayRef(), ".");
    const auto options = options_at(result.edges[k]);
    result.blocks.push_back(u[k].defined() ? u[k].to(options) : torch::zeros(shape, options));
  }
  return result;
}

/// A random combination of the directions: none of them alone need reach every row of a layer.
struct Probe {
  Tensor mixture, scales;  ///< [D] and [N]
};

/// The blocks with one direction more, the probe with its examples scaled.
std::vector<Tensor> with_probe(const Directions& u, const Probe& probe) {
  std::vector<Tensor> blocks;
  for (const auto& block : u.blocks) {
    const auto mixed = torch::tensordot(probe.mixture.to(block.dtype()), block, {0}, {0});
    blocks.push_back(torch::cat({block, scale_examples(mixed, probe.scales).unsqueeze(0)}));
  }
  return blocks;
}

/// The layers whose rows belong to examples in a known order, with δ of all directions, [D, *s]:
/// one more backward pass than there are directions.
Capture capture_directions(const Directions& u, const LossGraph& graph) {
  const auto options = graph.parameters().options();
  auto generator = make_generator(0);
  const Probe probe{random_normal({u.count}, options, generator),
                    random_scales(u.examples, options)};
  auto found = without_fused(layers_of(graph));
  Capture captured{u.examples, {}, {}, {}, std::move(found.covers)};
  if (found.layers.empty()) return captured;
  torch::autograd::edge_list edges;
  std::vector<int64_t> lengths;
  for (const auto& layer : found.layers) {
    edges.push_back(layer.output);
    lengths.push_back(c10::multiply_integers(shape_at(layer.output)));
  }
  const auto deltas = pull_back_many(u.edges, network_census(graph).columns(), with_probe(u, probe),
                                     edges, lengths, options)
                          .split_with_sizes(lengths, 1);
  for (size_t k = 0; k < deltas.size(); ++k) {
    const auto delta = deltas[k].narrow(0, 0, u.count);
    const auto probed = probe.mixture.matmul(delta).to(options_at(edges[k]).dtype());
    const auto order = order_of(found.layers[k], probed, deltas[k][u.count], probe.scales);
    if (!order) {
      drop(captured.covers, found.layers[k]);
      continue;
    }
    auto shape = shape_at(edges[k]).vec();
    shape.insert(shape.begin(), u.count);
    append(captured, std::move(found.layers[k]), delta.reshape(shape), *order);
  }
  return captured;
}

/// K += Σ (δ_di·δ_ej)(aᵢ·aⱼ + 1) over the layers' plain parameters.
void add_factors(const Capture& captured, const std::vector<bool>& plain, const Tensor& K) {
  const auto examples = captured.examples, directions = K.size(0) / std::max<int64_t>(examples, 1);
  const std::vector<int64_t> blocks = {directions, examples, directions, examples};
  auto products = torch::empty({0}, K.options());  // memory for all layers
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    const auto& layer = captured.layers[k];
    Tensor inner = torch::zeros({examples, examples}, K.options());
    const bool weight = layer.weight && plain[*layer.weight];
    const bool bias = layer.bias && plain[*layer.bias];
    if (!weight && !bias) continue;
    if (weight) {
      const auto a = layer.input.to(torch::kDouble);
      inner.addmm_(a, a.t());
    }
    if (bias) inner.add_(1);
    const auto delta = captured.deltas[k].reshape({K.size(0), -1}).to(torch::kDouble);
    torch::mm_out(products, delta, delta.t());
    K.view(blocks).addcmul_(products.view(blocks), inner.view({1, examples, 1, examples}));
  }
}

/// K += rows rowsᵀ.
void add_rows(const Tensor& K, const Tensor& rows) {
  const auto width = std::max<int64_t>(1, kNumbersInDouble / std::max<int64_t>(rows.size(0), 1));
  for (int64_t begin = 0; begin < rows.size(1); begin += width) {
    const auto part =
        rows.narrow(1, begin, std::min(width, rows.size(1) - begin)).to(torch::kDouble);
    K.addmm_(part, part.t());
  }
}

/// The rows' part in a parameter that layers cover, [D·N, numel].
Tensor rows_of(const Capture& captured, size_t parameter, const Tensor& value, int64_t directions) {
  std::vector<Tensor> rows;
  for (int64_t d = 0; d < directions; ++d) {
    std::vector<Tensor> deltas;
    for (const auto& delta : captured.deltas) deltas.push_back(delta[d]);
    rows.push_back(rows_of_layers(captured, deltas, parameter, value));
  }
  return torch::cat(rows);
}

/// The same for parameters that no layer covers: a pass for each row.
Tensor rows_of_uncovered(const Directions& u, Columns columns,
                         const std::vector<Tensor>& parameters) {
  std::vector<Tensor> rows;
  for (int64_t d = 0; d < u.count; ++d) {
    OutputGradients one{u.edges, {}};
    for (const auto& block : u.blocks) one.values.push_back(block[d]);
    rows.push_back(pull_back_examples(one, columns, u.examples, parameters));
  }
  return torch::cat(rows);
}

}  // namespace

Tensor output_gram(const LossGraph& graph, const std::vector<Tensor>& u) {
  const torch::NoGradGuard no_grad;
  const auto directions = directions_of(graph, u);
  const auto& parameters = graph.parameters();
  const auto K = torch::zeros({directions.rows(), directions.rows()},
                              parameters.options().dtype(torch::kDouble));
  const auto captured = capture_directions(directions, graph);
  const auto plain = plain_parameters(captured);
  add_factors(captured, plain, K);
  std::vector<Tensor> uncovered;
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto& value = parameters.tensors()[i];
    if (!captured.covers[i]) {
      uncovered.push_back(value);
    } else if (takes_part(captured, i) && !plain[i]) {
      add_rows(K, rows_of(captured, i, value, directions.count));
    }
  }
  if (!uncovered.empty())
    add_rows(K, rows_of_uncovered(directions, network_census(graph).columns(), uncovered));
  return K;
}

}  // namespace natgrad::detail
