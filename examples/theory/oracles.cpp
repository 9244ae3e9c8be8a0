#include "theory/oracles.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace examples::theory {

using torch::Tensor;

namespace {

Tensor derivative(const Tensor& y, const std::vector<Tensor>& x, bool create_graph) {
  const auto parts = torch::autograd::grad({y}, x, {}, /*retain_graph=*/true, create_graph,
                                           /*allow_unused=*/true);
  std::vector<Tensor> whole;
  for (size_t i = 0; i < x.size(); ++i) {
    whole.push_back(parts[i].defined() ? parts[i] : torch::zeros_like(x[i]));
  }
  return flat(whole);
}

}  // namespace

Tensor flat(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> parts;
  for (const auto& tensor : tensors) parts.push_back(tensor.reshape(-1));
  return torch::cat(parts);
}

Tensor gradient_of(const Tensor& h, const std::vector<Tensor>& x) {
  return derivative(h, x, /*create_graph=*/false);
}

Tensor jacobian_of(const Tensor& y, const std::vector<Tensor>& x) {
  std::vector<Tensor> rows;
  for (const auto& element : y.reshape(-1).unbind()) rows.push_back(gradient_of(element, x));
  return torch::stack(rows);
}

Tensor hessian_of(const Tensor& h, const std::vector<Tensor>& x) {
  const auto gradient = derivative(h, x, /*create_graph=*/true);
  if (!gradient.requires_grad())
    return torch::zeros({gradient.numel(), gradient.numel()}, h.options());
  return jacobian_of(gradient, x);
}

double number(const Tensor& t) { return t.item<double>(); }

double relative_error(const Tensor& actual, const Tensor& expected) {
  const double norm = number(expected.detach().norm());
  const double error = number((actual - expected).detach().norm());
  return norm > 0 ? error / norm : error;
}

Tensor eigenvalues(const Tensor& symmetric) {
  return torch::linalg_eigvalsh(0.5 * (symmetric + symmetric.t()));
}

double smallest_eigenvalue(const Tensor& symmetric) { return number(eigenvalues(symmetric)[0]); }

int64_t rank_of(const Tensor& symmetric) {
  const auto sizes = eigenvalues(symmetric).abs();
  return (sizes > 1e-10 * sizes.max()).sum().item<int64_t>();
}

double cosine(const Tensor& a, const Tensor& b) { return number(a.dot(b) / (a.norm() * b.norm())); }

Tensor softmax_metric(const Tensor& p) {
  return torch::diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1);
}

double order(double a, double b) { return std::log2(a / b); }

double slope(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> u, v;
  std::ranges::transform(x, std::back_inserter(u), [](double t) { return std::log(t); });
  std::ranges::transform(y, std::back_inserter(v), [](double t) { return std::log(t); });
  double above = 0, below = 0;
  for (size_t i = 0; i < u.size(); ++i) {
    above += (u[i] - mean(u)) * (v[i] - mean(v));
    below += (u[i] - mean(u)) * (u[i] - mean(u));
  }
  return above / below;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.) / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace examples::theory
