#include <natgrad/curvature/pulled_back.h>
#include <natgrad/graph/loss_graph.h>
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include <torch/torch.h>
#include "graph/census.h"

namespace natgrad {

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

/// A jv, looked at: what is shaped otherwise would broadcast, or be left out.
std::vector<Tensor> applied(const OutputMap& A, const std::vector<Tensor>& jv) {
  auto u = A(jv);
  TORCH_CHECK_VALUE(u.size() == jv.size(), "natgrad: A answers one tensor for each of the ",
                    jv.size(), " outputs, but got ", u.size(), ".");
  for (size_t k = 0; k < u.size(); ++k) {
    TORCH_CHECK_VALUE(!u[k].defined() || u[k].sizes() == jv[k].sizes(),
                      "natgrad: A answers tensors shaped like the outputs, but for output ", k,
                      " of shape ", jv[k].sizes(), " got ", u[k].sizes(), ".");
  }
  return u;
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
    const auto Ajv = applied(A, jv[l]);
    for (int64_t k = 0; k < count; ++k) products[k][l] = dot(jv[k], Ajv);
  }
  return products;
}

}  // namespace

LinearOperator pulled_back(const LossGraph& graph, OutputMap A, std::string name) {
  TORCH_CHECK_VALUE(A != nullptr, "natgrad: pulled_back needs a map A on the outputs.");
  linearization_of(graph);  // its random dummy is not to be drawn while many columns are multiplied
  const auto& parameters = graph.parameters();
  const LinearOperator product(
      std::move(name), parameters.size(), parameters.options(),
      [graph, A](const Tensor& v) {
        torch::NoGradGuard no_grad;
        const auto& f = linearization_of(graph);
        return f.multiply_transposed(applied(A, f.multiply(v)));
      },
      loss_census(graph).columns());
  return product.with_inner([graph, A](const auto& columns) {
    return inner_products(linearization_of(graph), A, columns);
  });
}

}  // namespace natgrad
