#include <natgrad/curvature/blocks.h>
#include <natgrad/curvature/output_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <utility>

#include "curvature/output_root.h"
#include "curvature/parameter_lists.h"
#include "curvature/probes.h"
#include "graph/loss_graph_state.h"
#include "graph/pull_back_examples.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// Which of the [P] entries are each block's, ascending.
std::vector<Tensor> entries_of(const ParameterLayout& parameters,
                               const std::vector<int64_t>& blocks) {
  check_block_numbers(parameters, blocks);
  std::vector<std::vector<Tensor>> parts(
      static_cast<size_t>(*std::max_element(blocks.begin(), blocks.end()) + 1));
  int64_t first = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto numel = parameters.tensors()[i].numel();
    parts[static_cast<size_t>(blocks[i])].push_back(torch::arange(first, first + numel));
    first += numel;
  }
  std::vector<Tensor> entries;
  for (const auto& part : parts) {
    const auto all = part.empty() ? torch::empty({0}, torch::kLong) : torch::cat(part);
    entries.push_back(all.to(parameters.options().device()));
  }
  return entries;
}

/// Adds the blocks of RᵀR.
void add_squares(std::vector<Tensor>& sums, const Tensor& rows,
                 const std::vector<Tensor>& entries) {
  for (size_t b = 0; b < entries.size(); ++b) {
    const auto part = rows.index_select(1, entries[b]);
    const auto square = part.t().mm(part);
    if (sums.size() <= b) {
      sums.push_back(square);
    } else {
      sums[b] += square;
    }
  }
}

/// √s times the scores of targets that are drawn from the model, by output.
std::vector<Tensor> sampled_scores(const LossGraph& graph, const at::Generator& generator,
                                   FisherWeights choice) {
  check_has_fisher(graph);
  return sum_by_output(graph, [&](const LossTerm& term) {
    const auto& likelihood = *term.likelihood;
    return (roots_of_weights(term, choice) * likelihood.score(likelihood.sample(generator)))
        .detach();
  });
}

/// The smaller of two numbers' representatives becomes that of both.
void join(std::vector<size_t>& of, size_t a, size_t b) {
  const auto from = std::max(of[a], of[b]), to = std::min(of[a], of[b]);
  std::replace(of.begin(), of.end(), from, to);
}

}  // namespace

std::vector<int64_t> blocks_by_parameter(const ParameterLayout& parameters) {
  std::vector<int64_t> blocks(parameters.tensors().size());
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<int64_t>(i);
  return blocks;
}

std::vector<int64_t> blocks_by_layer(const LossGraph& graph) {
  std::vector<size_t> first(graph.parameters().tensors().size());
  for (size_t i = 0; i < first.size(); ++i) first[i] = i;
  for (const auto& layer : layers_of(graph).layers) {
    if (layer.weight && layer.bias) join(first, *layer.weight, *layer.bias);
  }
  std::map<size_t, int64_t> numbers;
  std::vector<int64_t> blocks;
  for (const auto i : first) {
    blocks.push_back(numbers.emplace(i, static_cast<int64_t>(numbers.size())).first->second);
  }
  return blocks;
}

std::vector<Tensor> empirical_fisher_blocks(const LossGraph& graph,
                                            const std::vector<int64_t>& blocks, Moment moment,
                                            FisherWeights weights) {
  const torch::NoGradGuard no_grad;
  const auto entries = entries_of(graph.parameters(), blocks);
  std::vector<Tensor> sums;
  add_squares(sums, empirical_fisher_rows(graph, moment, weights), entries);
  return sums;
}

std::vector<Tensor> estimated_fisher_blocks(const LossGraph& graph,
                                            const std::vector<int64_t>& blocks, int64_t probes,
                                            at::Generator generator, BlockProbes draw,
                                            FisherWeights weights) {
  check_probes(probes);
  const torch::NoGradGuard no_grad;
  const auto entries = entries_of(graph.parameters(), blocks);
  std::vector<Tensor> sums;
  for (int64_t k = 0; k < probes; ++k) {
    const auto u = draw == BlockProbes::Signs ? output_noise(graph, generator, weights)
                                              : sampled_scores(graph, generator, weights);
    add_squares(sums, pull_back_each_example(graph, u), entries);
  }
  for (auto& sum : sums) sum.div_(static_cast<double>(probes));
  return sums;
}

LinearOperator from_blocks(const ParameterLayout& parameters, const std::vector<int64_t>& blocks,
                           std::vector<Tensor> matrices) {
  const auto entries = entries_of(parameters, blocks);
  TORCH_CHECK_VALUE(matrices.size() == entries.size(), "natgrad: there are ", entries.size(),
                    " blocks, but got ", matrices.size(), " matrices.");
  for (size_t b = 0; b < entries.size(); ++b) {
    const auto n = entries[b].numel();
    TORCH_CHECK_VALUE(matrices[b].sizes() == torch::IntArrayRef({n, n}), "natgrad: block ", b,
                      " has ", n, " numbers, so its matrix is of [", n, ", ", n, "], but got ",
                      matrices[b].sizes(), ".");
  }
  const auto multiply = [entries, matrices](const Tensor& v) {
    auto product = torch::empty_like(v);
    for (size_t b = 0; b < entries.size(); ++b) {
      product.index_copy_(0, entries[b], matrices[b].matmul(v.index_select(0, entries[b])));
    }
    return product;
  };
  const auto solve = [entries, matrices](double shift, const Tensor& v) {
    auto solution = torch::empty_like(v);
    for (size_t b = 0; b < entries.size(); ++b) {
      const auto wide = matrices[b].to(torch::kDouble);
      const auto factor =
          torch::linalg_cholesky(wide + shift * torch::eye(wide.size(0), wide.options()));
      const auto part = v.index_select(0, entries[b]).to(torch::kDouble).unsqueeze(1);
      solution.index_copy_(0, entries[b],
                           torch::cholesky_solve(part, factor).squeeze(1).to(v.scalar_type()));
    }
    return solution;
  };
  return LinearOperator("matrix of blocks", parameters.size(), parameters.options(), multiply,
                        Columns::Together)
      .with_solve(solve);
}

}  // namespace natgrad
