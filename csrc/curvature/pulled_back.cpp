#include "curvature/pulled_back.h"
#include <natgrad/graph/loss_graph.h>
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include <torch/torch.h>
#include "graph/census.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

double dot(const std::vector<Tensor>& u, const std::vector<Tensor>& v) {
  double sum = 0;
  for (size_t k = 0; k < u.size(); ++k) {
    if (!u[k].defined() || !v[k].defined()) continue;
    sum += u[k].reshape(-1).dot(v[k].reshape(-1).to(u[k].dtype())).item<double>();
  }
  return sum;
}

/// (J v_k)ᵀ A (J v_l) for all k and l.
Tensor inner_products(const Linearization& f, const OutputMap& A,
                      const std::vector<Tensor>& columns) {
  const torch::NoGradGuard no_grad;
  const auto count = static_cast<int64_t>(columns.size());
  std::vector<std::vector<Tensor>> jv;
  for (const auto& v : columns) jv.push_back(f.multiply(v));
  auto products = torch::empty({count, count}, torch::kDouble);
  for (int64_t l = 0; l < count; ++l) {
    const auto Ajv = A(jv[l]);
    for (int64_t k = 0; k < count; ++k) products[k][l] = dot(jv[k], Ajv);
  }
  return products;
}

}  // namespace

LinearOperator pulled_back(const LossGraph& graph, std::string name, OutputMap A) {
  linearization_of(graph);  // its random dummy is not to be drawn while many columns are multiplied
  const auto& parameters = graph.parameters();
  const LinearOperator product(
      std::move(name), parameters.size(), parameters.options(),
      [graph, A](const Tensor& v) {
        torch::NoGradGuard no_grad;
        const auto& f = linearization_of(graph);
        return f.multiply_transposed(A(f.multiply(v)));
      },
      loss_census(graph).columns());
  return product.with_inner([graph, A](const auto& columns) {
    return inner_products(linearization_of(graph), A, columns);
  });
}

}  // namespace natgrad::detail
