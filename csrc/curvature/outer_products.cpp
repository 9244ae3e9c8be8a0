#include "curvature/outer_products.h"
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/graph/loss_graph.h>
#include "graph/loss_graph_state.h"

#include <torch/torch.h>
#include "graph/backward.h"

#include <algorithm>

#include "curvature/output_root.h"

namespace natgrad::detail {

using torch::Tensor;

Tensor along_examples(const Tensor& per_example, const Tensor& t, int64_t example_dim) {
  if (t.dim() <= example_dim) return per_example.squeeze(0);
  std::vector<int64_t> shape(t.dim(), 1);
  shape[example_dim] = per_example.numel();
  return per_example.view(shape);
}

namespace {

void check_examples(const ExampleVectors& set, const std::vector<int64_t>& dims) {
  for (size_t k = 0; k < set.u.size(); ++k) {
    if (!set.u[k].defined()) continue;
    const auto n = set.u[k].dim() > dims[k] ? set.u[k].size(dims[k]) : 1;
    TORCH_CHECK(n == set.weights.numel(), "natgrad: one output of the loss is of shape ",
                set.u[k].sizes(), ", but another one has ", set.weights.numel(),
                " examples: what each example's gradient is cannot be told. Give all outputs the "
                "examples as their first dimension.");
  }
}

/// gᵢ·v, less their mean if the set is centred: twice, as one subtraction leaves its own rounding.
Tensor products_with(const ExampleVectors& set, const std::vector<int64_t>& dims,
                     const std::vector<Tensor>& jv) {
  Tensor along = torch::zeros_like(set.weights);
  for (size_t k = 0; k < jv.size(); ++k) {
    if (set.u[k].defined()) along = along + rows_of_examples(set.u[k] * jv[k], dims[k]).sum(1);
  }
  along = set.scale * along;
  if (!set.centred) return along;
  const auto total = set.weights.sum();
  const auto share = torch::where(total.eq(0), 0.0, set.weights / total);
  for (int pass = 0; pass < 2; ++pass) along = along - share.dot(along);
  return along;
}

/// Adds mᵢ cᵢ rᵢ uᵢ to `sum`.
void add_products(const ExampleVectors& set, const std::vector<int64_t>& dims,
                  const std::vector<Tensor>& jv, std::vector<Tensor>& sum) {
  const auto coefficients = set.weights * set.scale * products_with(set, dims, jv);
  for (size_t k = 0; k < jv.size(); ++k) {
    if (!set.u[k].defined()) continue;
    const auto part = along_examples(coefficients, set.u[k], dims[k]) * set.u[k];
    sum[k] = sum[k].defined() ? sum[k] + part : part;
  }
}

/// √mᵢ cᵢ uᵢ of each set as a direction of its own, by output; undefined where no set has any.
std::vector<Tensor> directions_of(const std::vector<ExampleVectors>& sets) {
  std::vector<Tensor> blocks(sets.front().u.size());
  for (size_t d = 0; d < sets.size(); ++d) {
    const auto coefficients = sets[d].weights.sqrt() * sets[d].scale;
    for (size_t k = 0; k < blocks.size(); ++k) {
      const auto& u = sets[d].u[k];
      if (!u.defined()) continue;
      if (!blocks[k].defined()) {
        auto shape = u.sizes().vec();
        shape.insert(shape.begin(), static_cast<int64_t>(sets.size()));
        blocks[k] = torch::zeros(shape, u.options());
      }
      blocks[k][static_cast<int64_t>(d)].copy_(along_examples(coefficients, u, 0) * u);
    }
  }
  return blocks;
}

/// None of a centred set, whose rows are not those of single examples, and where the examples are
/// not all in dimension 0.
std::optional<Root> root_of(const LossGraph& graph, const std::vector<ExampleVectors>& sets,
                            const std::vector<int64_t>& dims) {
  const auto is_plain = [&](const ExampleVectors& set) {
    bool first = !set.centred && set.weights.numel() > 0;
    bool any = false;
    for (size_t k = 0; k < set.u.size(); ++k) {
      if (!set.u[k].defined()) continue;
      any = true;
      first = first && dims[k] == 0 && set.u[k].dim() > 0;
    }
    return first && any;
  };
  if (sets.empty() || !std::all_of(sets.begin(), sets.end(), is_plain)) return std::nullopt;
  for (const auto& output : output_edges(graph)) {
    const auto shape = shape_at(output);
    if (shape.empty() || shape[0] != sets.front().weights.numel()) return std::nullopt;
  }
  return output_root(graph, static_cast<int64_t>(sets.size()), sets.front().weights.numel(),
                     [sets] { return directions_of(sets); });
}

}  // namespace

Tensor rows_of_examples(const Tensor& t, int64_t example_dim) {
  if (t.dim() <= example_dim) return t.reshape({1, -1});
  const auto first = t.movedim(example_dim, 0);
  return first.reshape({first.size(0), -1});
}

Tensor noise_of_rows(const Tensor& rows) {
  const auto norm = torch::linalg_vector_norm(rows, 2, std::nullopt, false, torch::kDouble);
  return norm.square() / static_cast<double>(rows.size(0));
}

LinearOperator sum_of_outer_products(const LossGraph& graph, std::string name,
                                     std::vector<ExampleVectors> sets, OutputMap more) {
  std::vector<int64_t> dims(graph.outputs(), 0);
  for (const auto& term : graph.terms()) {
    if (term.likelihood) dims[term.output] = term.likelihood->example_dim();
  }
  for (const auto& set : sets) check_examples(set, dims);
  auto root = more ? std::nullopt : root_of(graph, sets, dims);
  const auto C = pulled_back(
      graph,
      [sets = std::move(sets), dims, more](const auto& jv) {
        auto sum = more ? more(jv) : std::vector<Tensor>(jv.size());
        for (const auto& set : sets) add_products(set, dims, jv, sum);
        return sum;
      },
      std::move(name));
  return with_root_if_any(C, std::move(root));
}

}  // namespace natgrad::detail
