#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// s F_R v, one tensor per output.
std::vector<Tensor> multiply_output_fisher(const LossGraph& graph, const std::vector<Tensor>& v) {
  torch::NoGradGuard no_grad;
  auto product = std::vector<Tensor>(v.size());
  for (const auto& term : graph.terms()) {
    const auto part = term.weights * term.likelihood->fisher_multiply(v[term.output]);
    auto& sum = product[term.output];
    sum = sum.defined() ? sum + part : part;
  }
  return product;
}

}  // namespace

LinearOperator fisher(const LossGraph& graph) {
  for (const auto& term : graph.terms()) {
    TORCH_CHECK(term.likelihood,
                "natgrad: the Fisher matrix needs a likelihood, but the loss is a function of "
                "natgrad::outputs(z), which has none. Use GaussNewton(), or write the loss as "
                "natgrad::nll(likelihood, y).");
  }
  const auto& parameters = graph.parameters();
  return {"Fisher matrix", parameters.size(), parameters.options(), [graph](const Tensor& v) {
            const auto& f = graph.linearization();
            return f.multiply_transposed(multiply_output_fisher(graph, f.multiply(v)));
          }};
}

std::shared_ptr<const Curvature> Fisher::clone() const { return std::make_shared<Fisher>(*this); }

}  // namespace natgrad
