#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/curvature/output_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/preconditioners/kronecker_factors.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/layer_factors.h"
#include "graph/layer_gradients.h"
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "libtorch/degradations.h"
#include "preconditioners/kronecker_layers.h"
#include "preconditioners/kronecker_options.h"

namespace natgrad {

using torch::Tensor;
using torch::autograd::edge_list;

namespace {

/// What one pull-back of the output noise brings.
struct PulledBack {
  std::vector<Tensor> deltas;      // by layer
  std::vector<Tensor> parameters;  // by parameter; undefined where a block is
};

/// Rows of the activations and of δ, [groups, rows · positions, size].
struct Rows {
  Tensor activations, gradients;
};

/// The edges of the parameters that no block holds.
edge_list edges_of_the_rest(const std::vector<PlannedBlock>& plans,
                            const ParameterLayout& parameters) {
  auto edges = edges_of(parameters.tensors());
  for (const auto& plan : plans) {
    edges[plan.block.weight] = {};
    if (plan.block.bias) edges[*plan.block.bias] = {};
  }
  return edges;
}

PulledBack pull_back_noise(const LossGraph& graph, const std::vector<Layer>& layers,
                           const edge_list& rest, const at::Generator& generator,
                           FisherWeights weights) {
  edge_list roots, inputs = gradient_edges(layers);
  const auto of_layers = static_cast<std::ptrdiff_t>(inputs.size());
  std::vector<Tensor> cotangents;
  const auto noise = output_noise(graph, generator, weights);
  for (size_t k = 0; k < noise.size(); ++k) {
    if (!noise[k].defined()) continue;
    roots.push_back(output_edges(graph)[k]);
    cotangents.push_back(noise[k].to(options_at(roots.back())));
  }
  inputs.insert(inputs.end(), rest.begin(), rest.end());
  const auto arrived = backward(roots, cotangents, inputs);
  const auto middle = arrived.begin() + of_layers;
  return {layer_gradients(layers, {arrived.begin(), middle}), {middle, arrived.end()}};
}

Layer with_rows(Layer layer, const Tensor& chosen) {
  layer.input = layer.input.index_select(0, chosen);
  layer.rows = chosen.numel();
  return layer;
}

Rows rows_of(const Layer& layer, const Tensor& delta, const KroneckerBlock& block,
             const Tensor& weight) {
  const auto flat = [](const Tensor& factor) { return factor.transpose(0, 1).flatten(1, 2); };
  const auto [left, right] = weight_factors(layer, delta, weight.sizes());
  const Tensor a = flat(block.is_input_by_output ? left : right);
  const Tensor d = flat(block.is_input_by_output ? right : left);
  if (!block.bias) return {a, d};
  return {torch::cat({a, torch::ones({a.size(0), a.size(1), 1}, a.options())}, 2), d};
}

/// sum += rᵀ r of each group; in one pass over matrices that are larger than their rows.
void add_second_moment(Tensor& sum, const Tensor& rows) {
  const auto transposed = rows.transpose(1, 2);
  if (sum.defined()) {
    sum.baddbmm_(transposed, rows);
  } else {
    sum = transposed.bmm(rows);
  }
}

/// Sums of one block, over its layers and the draws.
class BlockSums {
 public:
  BlockSums(PlannedBlock plan, const ParameterLayout& parameters)
      : plan_(std::move(plan)), weight_(parameters.tensors()[plan_.block.weight].detach()) {}

  void add(const std::vector<Layer>& layers, const std::vector<Tensor>& deltas, double share,
           at::Generator& generator) {
    for (const size_t k : plan_.layers) {
      if (deltas[k].defined()) add_layer(layers[k], deltas[k], share, generator);
    }
  }

  /// A = mean a aᵀ, G = Σ δ δᵀ, the mean over the draws.
  KroneckerBlock block(int64_t samples) const {
    auto block = plan_.block;
    block.activations = mean_of(activations_, std::max<int64_t>(count_, 1), plan_.activations);
    block.gradients = mean_of(gradients_, samples, plan_.gradients);
    return block;
  }

 private:
  void add_layer(Layer layer, Tensor delta, double share, at::Generator& generator) {
    const auto dtype = weight_.scalar_type();
    const auto all = layer.rows;
    const auto kept = std::max<int64_t>(1, std::llround(share * static_cast<double>(all)));
    if (kept < all) {
      const auto chosen =
          torch::randperm(all, generator, torch::kLong).narrow(0, 0, kept).to(delta.device());
      layer = with_rows(std::move(layer), chosen);
      delta = delta.index_select(0, chosen);
    }
    layer.input = layer.input.to(dtype);
    const auto rows = rows_of(layer, delta.to(dtype), plan_.block, weight_);
    const double weight = static_cast<double>(all) / static_cast<double>(kept);
    add_second_moment(activations_, rows.activations);
    add_second_moment(gradients_, kept < all ? std::sqrt(weight) * rows.gradients : rows.gradients);
    count_ += rows.activations.size(1);
  }

  /// Undefined sums are of no rows.
  Tensor mean_of(const Tensor& sum, int64_t count, int64_t size) const {
    if (!sum.defined()) return torch::zeros({plan_.groups, size, size}, weight_.options());
    return count == 1 ? sum : sum / static_cast<double>(count);
  }

  PlannedBlock plan_;
  Tensor weight_, activations_, gradients_;
  int64_t count_ = 0;
};

void add_squares(std::vector<Tensor>& sums, const std::vector<Tensor>& gradients) {
  for (size_t i = 0; i < sums.size(); ++i) {
    if (!gradients[i].defined()) continue;
    const auto square = gradients[i].square();
    sums[i] = sums[i].defined() ? sums[i] + square : square;
  }
}

/// Parameters that no layer covers, and tables whose rows are looked up.
void report_parameters_without_factors(const Layers& found, const ParameterLayout& parameters) {
  std::set<std::string> nodes(found.unread.begin(), found.unread.end());
  std::set<size_t> tables;
  for (const auto& layer : found.layers) {
    if (layer.kind != Layer::Kind::Embedding) continue;
    nodes.insert(layer.output.function->name());
    if (found.covers[*layer.weight]) tables.insert(*layer.weight);
  }
  double share = found.coverage;
  for (const size_t table : tables) {
    share -= static_cast<double>(parameters.tensors()[table].numel()) /
             static_cast<double>(parameters.size());
  }
  report_degradation(
      Degradation::UnreadLayers,
      nodes.empty() ? ""
                    : fmt::format("layers cover {:.3g} of the parameters, and Kronecker factors "
                                  "are a diagonal for the rest, at {}",
                                  share, fmt::join(nodes, ", ")));
}

}  // namespace

KroneckerFactors kronecker_factors(const LossGraph& graph, at::Generator generator,
                                   const KroneckerOptions& options) {
  const torch::NoGradGuard no_grad;
  check_options(options);
  check_has_fisher(graph);
  const auto& parameters = graph.parameters();
  const auto& found = layers_of(graph);
  report_parameters_without_factors(found, parameters);
  const auto& layers = found.layers;
  const auto plans = plan_blocks(layers, parameters, options.largest());
  const auto rest = edges_of_the_rest(plans, parameters);
  std::vector<BlockSums> sums;
  for (const auto& plan : plans) sums.emplace_back(plan, parameters);
  std::vector<Tensor> squares(parameters.tensors().size());
  for (int64_t m = 0; m < options.samples(); ++m) {
    const auto drawn = pull_back_noise(graph, layers, rest, generator, options.weights());
    for (auto& sum : sums) sum.add(layers, drawn.deltas, options.share(), generator);
    add_squares(squares, drawn.parameters);
  }
  KroneckerFactors factors;
  for (const auto& sum : sums) factors.blocks.push_back(sum.block(options.samples()));
  factors.diagonal = parameters.flatten(squares) / static_cast<double>(options.samples());
  return factors;
}

void detail::check_options(const KroneckerOptions& options) {
  TORCH_CHECK(options.samples() >= 1,
              "natgrad: Kronecker factors need at least 1 sample, but got samples = ",
              options.samples(), ".");
  TORCH_CHECK(options.share() > 0 && options.share() <= 1,
              "natgrad: the share of the rows in the Kronecker factors is in (0, 1], but it is ",
              options.share(), ".");
}

}  // namespace natgrad
