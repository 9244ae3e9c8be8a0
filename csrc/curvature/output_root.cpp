#include "curvature/output_root.h"
#include <natgrad/graph/loss_graph.h>
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include <torch/torch.h>
#include "graph/output_gram.h"
#include "linalg/vmap.h"

#include <algorithm>

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// [D, N] numbers in a shape that broadcasts against a block of [D, N, ...].
Tensor along_rows(const Tensor& numbers, const Tensor& block) {
  std::vector<int64_t> shape(block.dim(), 1);
  shape[0] = block.size(0);
  shape[1] = block.size(1);
  return numbers.view(shape);
}

/// Uᵀ J and what is kept of it.
class OutputRows {
 public:
  OutputRows(LossGraph graph, int64_t directions, int64_t examples,
             std::function<std::vector<Tensor>()> u)
      : graph_(std::move(graph)),
        directions_(directions),
        examples_(examples),
        make_(std::move(u)) {}

  Tensor multiply(const Tensor& v) {
    const torch::NoGradGuard no_grad;
    const auto jv = linearization_of(graph_).multiply(v);
    auto sum = torch::zeros({directions_, examples_}, v.options());
    for (size_t k = 0; k < jv.size(); ++k) {
      const auto& block = blocks()[k];
      if (block.defined()) sum = sum + (block * jv[k]).reshape({directions_, examples_, -1}).sum(2);
    }
    return sum.reshape(-1).to(v.dtype());
  }

  Tensor multiply_transposed(const Tensor& u) {
    const torch::NoGradGuard no_grad;
    std::vector<Tensor> sums;
    for (const auto& block : blocks()) {
      sums.push_back(block.defined()
                         ? (along_rows(u.view({directions_, examples_}), block) * block).sum(0)
                         : Tensor());
    }
    return linearization_of(graph_).multiply_transposed(sums);
  }

  Tensor gram() {
    const torch::NoGradGuard no_grad;
    if (!gram_.defined()) gram_ = output_gram(graph_, blocks());
    return gram_;
  }

 private:
  const std::vector<Tensor>& blocks() {
    if (blocks_.empty()) blocks_ = make_();
    return blocks_;
  }

  LossGraph graph_;
  int64_t directions_, examples_;
  std::function<std::vector<Tensor>()> make_;
  std::vector<Tensor> blocks_;
  Tensor gram_;
};

/// The columns of B of all observations, [n, N, ...] for z of [N, ...] with n numbers an example.
Tensor factor_columns(const Likelihood& likelihood, int64_t directions) {
  const auto z = likelihood.outputs().detach();
  auto shape = z.sizes().vec();
  shape[0] = 1;
  shape.insert(shape.begin(), directions);
  auto whole = z.sizes().vec();
  whole.insert(whole.begin(), directions);
  const auto units = torch::eye(directions, z.options()).view(shape).expand(whole).contiguous();
  const auto together =
      vmap([&](const auto& r) { return likelihood.factor_multiply(r.front()); }, {units});
  if (together) return *together;
  std::vector<Tensor> columns;
  for (int64_t d = 0; d < directions; ++d) columns.push_back(likelihood.factor_multiply(units[d]));
  return torch::stack(columns);
}

int64_t numbers_per_example(const LossTerm& term, int64_t examples) {
  return term.likelihood->outputs().numel() / examples;
}

/// √s B of all terms, each with directions of its own, by output.
std::vector<Tensor> fisher_directions(const LossGraph& graph, FisherWeights choice, int64_t count) {
  const torch::NoGradGuard no_grad;
  const auto examples = graph.examples();
  std::vector<Tensor> blocks(graph.outputs());
  int64_t first = 0;
  for (const auto& term : graph.terms()) {
    const auto own = numbers_per_example(term, examples);
    const auto columns = weights_of(term, choice).sqrt() * factor_columns(*term.likelihood, own);
    auto shape = columns.sizes().vec();
    shape[0] = count;
    auto& block = blocks[term.output];
    if (!block.defined()) block = torch::zeros(shape, columns.options());
    block.narrow(0, first, own).add_(columns);
    first += own;
  }
  return blocks;
}

bool has_examples_first(const LossGraph& graph, int64_t examples) {
  const auto& terms = graph.terms();
  return examples > 0 && !terms.empty() &&
         std::all_of(terms.begin(), terms.end(), [&](const LossTerm& term) {
           const auto& z = term.likelihood->outputs();
           return term.likelihood->example_dim() == 0 && z.dim() > 0 && z.size(0) == examples &&
                  z.numel() > 0;
         });
}

}  // namespace

Root output_root(const LossGraph& graph, int64_t directions, int64_t examples,
                 std::function<std::vector<Tensor>()> u) {
  const auto rows = std::make_shared<OutputRows>(graph, directions, examples, std::move(u));
  Root root;
  root.rows = directions * examples;
  root.multiply = [rows](const Tensor& v) { return rows->multiply(v); };
  root.multiply_transposed = [rows](const Tensor& u) { return rows->multiply_transposed(u); };
  root.gram = [rows] { return rows->gram(); };
  root.costs = [graph, directions]() -> RootCosts {
    return {product_operations(graph), gram_operations(graph, directions)};
  };
  return root;
}

Tensor roots_of_weights(const LossTerm& term, FisherWeights choice) {
  const auto weights = weights_of(term, choice);
  TORCH_CHECK(weights.ge(0).all().item<bool>(), "natgrad: some weights of ",
              term.likelihood->describe(),
              " are negative, and its share of the Fisher matrix has no root. Use "
              "FisherWeights::Uniform.");
  return weights.sqrt();
}

std::optional<Root> fisher_root(const LossGraph& graph, FisherWeights choice) {
  if (graph.terms().empty()) return std::nullopt;
  const auto examples = graph.examples();
  if (!has_examples_first(graph, examples)) return std::nullopt;
  if (choice == FisherWeights::OfTheLoss && graph.negative_weights() > 0) return std::nullopt;
  int64_t directions = 0;
  for (const auto& term : graph.terms()) directions += numbers_per_example(term, examples);
  return output_root(graph, directions, examples, [graph, choice, directions] {
    return fisher_directions(graph, choice, directions);
  });
}

LinearOperator with_root_if_any(const LinearOperator& C, std::optional<Root> root) {
  return root ? C.with_root(std::move(*root)) : C;
}

}  // namespace natgrad::detail
