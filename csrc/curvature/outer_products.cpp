#include <natgrad/curvature/outer_products.h>
#include <natgrad/graph/pass_size.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// Sums over all but the examples' dimension: [N].
Tensor sum_per_example(const Tensor& t, int64_t example_dim) {
  if (t.dim() <= example_dim) return t.sum().reshape({1});
  const auto first = t.movedim(example_dim, 0);
  return first.reshape({first.size(0), -1}).sum(1);
}

/// A number per example, in a shape that broadcasts against `t`.
Tensor along_examples(const Tensor& per_example, const Tensor& t, int64_t example_dim) {
  if (t.dim() <= example_dim) return per_example.squeeze(0);
  std::vector<int64_t> shape(t.dim(), 1);
  shape[example_dim] = per_example.numel();
  return per_example.view(shape);
}

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

/// u with each example's rows times wᵢ (uᵢ·(J v)ᵢ), added to `sum`.
void add_products(const ExampleVectors& set, const std::vector<int64_t>& dims,
                  const std::vector<Tensor>& jv, std::vector<Tensor>& sum) {
  Tensor along = torch::zeros_like(set.weights);
  for (size_t k = 0; k < jv.size(); ++k) {
    if (set.u[k].defined()) along = along + sum_per_example(set.u[k] * jv[k], dims[k]);
  }
  for (size_t k = 0; k < jv.size(); ++k) {
    if (!set.u[k].defined()) continue;
    const auto part = along_examples(set.weights * along, set.u[k], dims[k]) * set.u[k];
    sum[k] = sum[k].defined() ? sum[k] + part : part;
  }
}

}  // namespace

int64_t example_dim(const LossGraph& graph, size_t output) {
  for (const auto& term : graph.terms()) {
    if (term.output == output && term.likelihood) return term.likelihood->example_dim();
  }
  return 0;
}

LinearOperator sum_of_outer_products(const LossGraph& graph, std::string name,
                                     std::vector<ExampleVectors> sets) {
  std::vector<int64_t> dims;
  for (size_t k = 0; k < graph.outputs().size(); ++k) dims.push_back(example_dim(graph, k));
  for (const auto& set : sets) check_examples(set, dims);
  graph.linearization();  // its random dummy is not to be drawn while many columns are multiplied
  const auto& parameters = graph.parameters();
  return {std::move(name), parameters.size(), parameters.options(),
          [graph, sets = std::move(sets), dims](const Tensor& v) {
            torch::NoGradGuard no_grad;
            const auto& f = graph.linearization();
            const auto jv = f.multiply(v);
            std::vector<Tensor> sum(jv.size());
            for (const auto& set : sets) add_products(set, dims, jv, sum);
            return f.multiply_transposed(sum);
          },
          columns_for({graph.root()})};
}

}  // namespace natgrad
