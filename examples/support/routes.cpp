#include "support/routes.h"
#include <natgrad/graph/loss_graph.h>

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/marks.h>
#include <torch/torch.h>

namespace examples {

using torch::Tensor;

namespace {

constexpr int64_t kInputs = 3, kHidden = 5;

Tensor weight(at::IntArrayRef shape) {
  return torch::randn(shape, torch::kDouble).requires_grad_();
}

/// ∇_θ of a number, [P], by plain autograd.
Tensor gradient(const Tensor& number, const std::vector<Tensor>& parameters, bool create_graph) {
  std::vector<Tensor> flat;
  for (const auto& part : torch::autograd::grad({number}, parameters, {}, true, create_graph)) {
    flat.push_back(part.flatten());
  }
  return torch::cat(flat);
}

/// ∇²_θ of a number, [P, P], a row at a time.
Tensor hessian(const Tensor& number, const std::vector<Tensor>& parameters) {
  std::vector<Tensor> rows;
  for (const auto& derivative : gradient(number, parameters, true).unbind()) {
    rows.push_back(gradient(derivative, parameters, false));
  }
  return torch::stack(rows);
}

/// Σₙ weightₙ ∇log_rₙ ∇log_rₙᵀ.
Tensor score_products(const Tensor& log_r, const Tensor& weight, const Problem& problem) {
  auto sum = torch::zeros({problem.size(), problem.size()}, torch::kDouble);
  for (int64_t n = 0; n < log_r.size(0); ++n) {
    const auto score = gradient(log_r[n], problem.parameters(), false);
    sum += weight[n] * score.outer(score);
  }
  return sum;
}

}  // namespace

Problem::Problem(OutputModelPtr model, int64_t examples)
    : model_(std::move(model)),
      x_(torch::randn({examples, kInputs}, torch::kDouble)),
      y_(model_->observed_targets(examples)),
      parameters_{weight({kHidden, kInputs}), weight({kHidden}), weight({model_->width(), kHidden}),
                  weight({model_->width()})} {}

int64_t Problem::size() const {
  int64_t count = 0;
  for (const auto& parameter : parameters_) count += parameter.numel();
  return count;
}

Tensor Problem::outputs() const {
  const auto hidden = torch::tanh(torch::linear(x_, parameters_[0], parameters_[1]));
  return model_->outputs(torch::linear(hidden, parameters_[2], parameters_[3]));
}

Tensor gauss_newton_matrix(const Problem& problem) {
  const auto loss = problem.model().loss(problem.outputs(), problem.targets());
  return natgrad::dense(natgrad::gauss_newton(natgrad::LossGraph(loss, problem.parameters())));
}

Tensor closed_fisher_matrix(const Problem& problem) {
  const auto loss = problem.model().loss(problem.outputs(), problem.targets());
  return natgrad::dense(natgrad::fisher(natgrad::LossGraph(loss, problem.parameters())));
}

Tensor expected_score_products(const Problem& problem) {
  const auto z = problem.outputs();
  auto sum = torch::zeros({problem.size(), problem.size()}, torch::kDouble);
  for (const auto& [y, probability] : problem.model().outcomes(z.detach())) {
    sum += score_products(problem.model().log_r(z, y), probability, problem);
  }
  return sum / problem.examples();
}

// The y and their probabilities are constants here: it is log r that is differentiated, not the
// expectation, whose derivatives would be those of an entropy.
Tensor minus_expected_hessian(const Problem& problem) {
  const auto z = problem.outputs();
  auto expected_loss = torch::zeros({}, torch::kDouble);
  for (const auto& [y, probability] : problem.model().outcomes(z.detach())) {
    expected_loss = expected_loss - (probability * problem.model().log_r(z, y)).mean();
  }
  return hessian(expected_loss, problem.parameters());
}

Tensor empirical_fisher_matrix(const Problem& problem) {
  const auto log_r = problem.model().log_r(problem.outputs(), problem.targets());
  return score_products(log_r, torch::ones_like(log_r), problem) / problem.examples();
}

Tensor objective_hessian(const Problem& problem) {
  const auto log_r = problem.model().log_r(problem.outputs(), problem.targets());
  return hessian(-log_r.mean(), problem.parameters());
}

Tensor gauss_newton_of_probabilities(const Problem& problem) {
  const auto p = natgrad::outputs(torch::softmax(problem.outputs(), 1));
  const auto loss = -p.gather(1, problem.targets().unsqueeze(1)).log().mean();
  return natgrad::dense(natgrad::gauss_newton(natgrad::LossGraph(loss, problem.parameters())));
}

}  // namespace examples
