// P §2: the objective is a mean over the examples, and everything that belongs to it, ∇h, G and F,
// is normalised alike: a step shows it, since a factor that one of them lacked would show.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/torch.h>

#include "theory/oracles.h"
#include "theory/problems.h"
#include "theory/section.h"

namespace examples::theory {
namespace objective_section {
namespace {

namespace F = torch::nn::functional;
using natgrad::Gaussian, natgrad::nll, torch::Tensor;

constexpr int64_t kExamples = 200;
// Conjugate gradients to rounding on a condition of some thousands.
constexpr double kSolve = 1e-9;
const char* const kSolveWords = "a solve to rounding, condition 10<sup>3</sup>";

using Loss = std::function<Tensor(const Tensor& z, const Tensor& W)>;

/// The lower half of a digit as a linear function of the upper half, z = X Wᵀ, with a constant.
struct LinearCompletion {
  Tensor x, y;
  explicit LinearCompletion(const Material& material) {
    const Completion digits(some_digits(material, kExamples));
    x = torch::cat({digits.x, torch::ones({kExamples, 1}, torch::kDouble)}, 1);
    y = digits.y;
  }
  /// Where one step of rate one leads from 0.
  Tensor after_a_step(const Loss& loss, double weight_decay = 0) const {
    const auto W = torch::zeros({y.size(1), x.size(1)}, torch::kDouble).requires_grad_();
    const auto options = plain_natural_gradient(1).weight_decay(weight_decay);
    natgrad::NaturalGradient optimizer({W}, options);
    optimizer.step(loss(x.mm(W.t()), W));
    return W.detach();
  }
  /// argmin Σᵢ wᵢ‖y - W x‖² + ‖W‖²·ridge by the normal equations.
  Tensor least_squares(const Tensor& weights, double ridge = 0) const {
    const auto weighed = weights.unsqueeze(1) * x;
    const auto A = weighed.t().mm(x) + ridge * torch::eye(x.size(1), torch::kDouble);
    return torch::linalg_solve(A, weighed.t().mm(y)).t();
  }
};

void one_normalisation(Findings& findings, const LinearCompletion& problem) {
  const auto& y = problem.y;
  const auto even = torch::ones({kExamples}, torch::kDouble);
  const auto weights = 0.2 + torch::arange(kExamples, torch::kDouble).remainder(5);
  struct Reduction {
    std::string name;
    Loss loss;
    Tensor weights;
  };
  const std::vector<Reduction> reductions = {
      {"mean over examples, eq. 1", [&](auto& z, auto&) { return nll(Gaussian(z), y); }, even},
      {"sum", [&](auto& z, auto&) { return nll(Gaussian(z), y, at::Reduction::Sum); }, even},
      {"<code>mse_loss</code>, a mean over outputs too",
       [&](auto& z, auto&) { return F::mse_loss(z, y); }, even},
      {"by hand, 7 times", [&](auto& z, auto&) { return 7 * (z - y).square().sum(1).mean(); },
       even},
      {"examples of different weight",
       [&](auto& z, auto&) { return (weights * (z - y).square().sum(1)).mean(); }, weights}};
  double worst = 0;
  std::vector<std::vector<Json>> rows;
  for (const auto& reduction : reductions) {
    const auto expected = problem.least_squares(reduction.weights);
    const double error = relative_error(problem.after_a_step(reduction.loss), expected);
    rows.push_back({reduction.name, error});
    worst = larger(worst, error);
  }
  findings.table("One step of rate 1 against the normal equations", {"objective", "error"}, rows);
  findings
      .claim(
          "one-normalisation",
          "h, ∇h and the matrix share one normalisation: whatever the reduction, one step solves "
          "linear least squares.")
      .formula(
          "h(θ) = <sup>1</sup>⁄<sub>|S|</sub> Σ L(y, f(x, θ)), &nbsp; θ − F<sup>−1</sup>∇h = "
          "argmin h")
      .source("P §2, eq. 1")
      .rows({2, 36})
      .by("<code>presets::natural_gradient(1)</code>")
      .care(
          "<code>mse_loss</code> averages over the m outputs too: it is a Gaussian with weight "
          "2/(Nm) an example, not ½‖y − z‖².")
      .measured("largest of the errors above", worst)
      .at_most(kSolve, kSolveWords);
}

void ignored_examples(Findings& findings, const Material& material) {
  const Classifier all(material, 60, 4);
  const auto labels = all.digits.labels.clone();
  labels.narrow(0, 0, 25).fill_(-100);
  const auto some = [&](auto matrix) {
    const auto z = all.outputs();
    const auto ignoring = F::cross_entropy(z, labels);
    const auto without = Classifier::loss(z.narrow(0, 25, 35), labels.narrow(0, 25, 35));
    const auto& theta = all.network.parameters();
    return relative_error(matrix(natgrad::LossGraph(ignoring, theta)),
                          matrix(natgrad::LossGraph(without, theta)));
  };
  const double gradient = some([](auto graph) { return graph.gradient(); });
  const double G = some([](auto graph) { return dense(natgrad::gauss_newton(graph)); });
  const double fisher = some([](auto graph) { return dense(natgrad::fisher(graph)); });
  findings
      .claim(
          "ignored-examples",
          "S is the set of the examples that count: 25 of 60 digits that the loss ignores are in "
          "neither ∇h nor G nor F, nor in |S|.")
      .source("P §2")
      .rows({2})
      .by("<code>cross_entropy</code> with <code>ignore_index</code>")
      .measured("largest relative difference to 35 digits alone", larger({gradient, G, fisher}))
      .at_most(1e-12, "sums in another order");
}

void penalties(Findings& findings, const LinearCompletion& problem) {
  constexpr double kRidge = 0.03;
  const auto mean = torch::full({kExamples}, 1. / kExamples, torch::kDouble);
  const auto expected = problem.least_squares(mean, kRidge);
  const auto plain = [&](const Tensor& z, const Tensor&) { return nll(Gaussian(z), problem.y); };
  const auto written = [&](const Tensor& z, const Tensor& W) {
    return nll(Gaussian(z), problem.y) + 0.5 * kRidge * natgrad::penalty(W.square().sum());
  };
  findings
      .claim("penalties",
             "A penalty on θ is a part of h, with its own gradient and Hessian: one step "
             "is ridge regression, by weight decay or by a penalty in the loss.")
      .formula("θ − (G + wI)<sup>−1</sup>(∇h + wθ)")
      .source("P §2")
      .rows({2})
      .by("<code>weight_decay(w)</code>, <code>penalty(R)</code>")
      .measured("larger of the two errors",
                larger(relative_error(problem.after_a_step(plain, kRidge), expected),
                       relative_error(problem.after_a_step(written), expected)))
      .at_most(kSolve, kSolveWords);
}

void run(Findings& findings, const Material& material) {
  findings.text(
      "The lower half of a digit, 8 pixels of a 4 x 4 image, as a linear function of the upper "
      "half; "
      "200 digits.");
  const LinearCompletion problem(material);
  one_normalisation(findings, problem);
  penalties(findings, problem);
  ignored_examples(findings, material);
}

}  // namespace
}  // namespace objective_section

Section objective() { return {"objective", "Supervised learning", "P §2", objective_section::run}; }

}  // namespace examples::theory
