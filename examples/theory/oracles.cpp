#include "theory/oracles.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace examples::theory {

using torch::Tensor;

Tensor flat(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> parts;
  for (const auto& tensor : tensors) parts.push_back(tensor.reshape(-1));
  return torch::cat(parts);
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
