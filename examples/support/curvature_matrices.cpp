#include "support/curvature_matrices.h"
#include <natgrad/graph/loss_graph.h>

#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>
#include <natgrad/operators.h>
#include <torch/torch.h>

namespace F = torch::nn::functional;
using torch::Tensor;

namespace examples {
namespace {

constexpr double kZeroEigenvalue = 1e-10;
// Small against what matters of a matrix; positive, since most here are singular.
constexpr double kRelativeDamping = 1e-3;

Tensor weights(at::IntArrayRef shape, const torch::Generator& generator) {
  const auto scale = 1 / std::sqrt(static_cast<double>(shape.back()));
  return (scale * torch::randn(shape, generator, torch::kDouble)).requires_grad_();
}

Tensor biases(int64_t size) { return torch::zeros({size}, torch::kDouble).requires_grad_(); }

/// The 8 x 8 pixels as 4 x 4 means.
Tensor coarse(const Tensor& digits) {
  return torch::avg_pool2d(digits.view({-1, 1, 8, 8}), 2).view({-1, 16}).to(torch::kDouble);
}

}  // namespace

SmallClassifier::SmallClassifier(const Batch& digits, int64_t examples, uint64_t seed) {
  const auto generator = at::detail::createCPUGenerator(seed);
  const auto batch =
      select(digits, shuffled_rows(digits.data.size(0), generator).narrow(0, 0, examples));
  x_ = coarse(batch.data);
  y_ = batch.target;
  constexpr int64_t kHidden = 8, kClasses = 10;
  parameters_ = {weights({kHidden, x_.size(1)}, generator), biases(kHidden),
                 weights({kClasses, kHidden}, generator), biases(kClasses)};
}

Tensor SmallClassifier::loss() const {
  const auto hidden = torch::tanh(F::linear(x_, parameters_[0], parameters_[1]));
  return F::cross_entropy(F::linear(hidden, parameters_[2], parameters_[3]), y_);
}

std::vector<NamedMatrix> curvature_matrices(const natgrad::LossGraph& graph) {
  const auto centred = natgrad::EmpiricalFisher().moment(natgrad::Moment::Centred);
  const std::vector<std::pair<std::string, std::shared_ptr<const natgrad::Curvature>>> curvatures =
      {{"Fisher", natgrad::Fisher().clone()},
       {"Gauss-Newton", natgrad::GaussNewton().clone()},
       {"Monte Carlo Fisher, 1 sample", natgrad::MonteCarloFisher(1).clone()},
       {"Monte Carlo Fisher, 50", natgrad::MonteCarloFisher(50).clone()},
       {"Hessian", natgrad::Hessian().clone()},
       {"empirical Fisher", natgrad::EmpiricalFisher().clone()},
       {"empirical, centred", centred.clone()},
       {"TONGA, rank 10", natgrad::Tonga().rank(10).clone()},
       {"Fisher, block-diagonal", natgrad::BlockDiagonal(natgrad::Fisher()).clone()},
       {"classical Gauss-Newton", natgrad::ClassicalGaussNewton().clone()}};
  std::vector<NamedMatrix> matrices;
  for (const auto& [name, curvature] : curvatures) {
    matrices.push_back({name, dense(curvature->at(graph).matrix)});
  }
  matrices.push_back({"Fisher, diagonal", matrices[0].matrix.diagonal().diag()});
  return matrices;
}

Spectrum spectrum_of(const Tensor& symmetric) {
  const auto eigenvalues = torch::linalg_eigvalsh(symmetric).flip(0);
  const auto zero = kZeroEigenvalue * eigenvalues.abs().max();
  return {eigenvalues.abs().gt(zero).sum().item<int64_t>(),
          eigenvalues.lt(-zero).sum().item<int64_t>(), symmetric.trace().item<double>(),
          eigenvalues};
}

torch::Tensor damped_step(const Tensor& matrix, const Tensor& gradient) {
  const auto lambda = kRelativeDamping * matrix.trace() / static_cast<double>(matrix.size(0));
  const auto damping = lambda * torch::eye(matrix.size(0), matrix.options());
  return torch::linalg_solve(matrix + damping, -gradient);
}

}  // namespace examples
