#include <fmt/format.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/step_control/subspace_minimisation.h>
#include <torch/torch.h>
#include "linalg/norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace natgrad {
namespace {

using torch::Tensor;

void check_settings(const SubspaceMinimisation& rule) {
  TORCH_CHECK(rule.floor() > 0 && rule.floor() <= 1,
              "natgrad: SubspaceMinimisation's floor of the eigenvalues is a share of the largest, "
              "in (0, 1], but is ",
              rule.floor(), ".");
  TORCH_CHECK(rule.max_iterations() >= 1,
              "natgrad: SubspaceMinimisation needs max_iterations >= 1, but got ",
              rule.max_iterations(), ".");
  TORCH_CHECK(rule.max_evaluations() >= 1,
              "natgrad: SubspaceMinimisation needs max_evaluations >= 1, but got ",
              rule.max_evaluations(), ".");
}

void check_problem(const StepProblem& problem) {
  TORCH_CHECK(
      problem.trials,
      "natgrad: SubspaceMinimisation minimises the loss itself, so that the loss is needed at "
      "other parameters: call `step` with a closure that computes it.");
  TORCH_CHECK(problem.solution.basis,
              "natgrad: SubspaceMinimisation minimises over the subspace that a solver has built, "
              "but this solver builds none: take KrylovSubspace.");
}

// Of the unit of length for another attempt, where no point of a line search was low enough.
constexpr double kShorter = 1e-6;
// Attempts, after which the unit is no length any more.
constexpr int kAttempts = 6;
// LBFGS makes room for it at once.
constexpr int64_t kLongestHistory = 1000;

/// L with L Lᵀ = Ĥ, [m, m].
Tensor metric_factor(const Tensor& projected, double floor) {
  const double largest = torch::linalg_eigvalsh(projected)[-1].item<double>();
  if (!(largest > 0)) return torch::eye(projected.size(0), projected.options());
  return torch::linalg_cholesky(floor_eigenvalues(projected, floor));
}

/// L⁻¹v, or L⁻ᵀv.
Tensor solve_triangular(const Tensor& matrix, const Tensor& v, bool upper) {
  return torch::linalg_solve_triangular(matrix, v.unsqueeze(1), upper).squeeze(1);
}

/// h over the subspace, as a function of u in double on the CPU that BFGS's own constants suit:
///
///     F(u) = (h(θ + s V L⁻ᵀu) - h(θ)) / s²,   s = ‖ĝ‖₁,  ĝ = L⁻¹Vᵀ∇h(θ).
///
/// For a loss that is its model, F(u) = ½‖u‖² + uᵀĝ/s: LBFGS's first trial, along the negative
/// gradient by 1/‖∇F‖₁ = 1, is the minimum then, and its absolute tolerances are relative to the
/// decrease that the model promises.
class SubspaceLoss {
 public:
  SubspaceLoss(const KrylovBasis& basis, double floor, TrialLosses& trials)
      : basis_(basis), factor_(metric_factor(basis.projected, floor)), trials_(trials) {
    Tensor gradient;
    start_ = trials.at(basis.vectors.new_zeros(basis.vectors.size(0)), gradient);
    start_gradient_ = in_coordinates(gradient);
    scale_ = start_gradient_.abs().sum().item<double>();
  }

  /// Whether there is a finite gradient to go along.
  bool can_fall() const { return std::isfinite(start_) && std::isfinite(scale_) && scale_ > 0; }

  /// F(u), with ∇F(u) as the gradient of u.
  Tensor operator()(Tensor& u) {
    double value = 0;
    Tensor gradient = torch::zeros_like(u);
    if (u.count_nonzero().item<int64_t>() == 0) {
      gradient = start_gradient_ / scale_;
    } else {
      try_out(u, value, gradient);
    }
    u.mutable_grad() = gradient;
    return torch::scalar_tensor(value, u.options());
  }

  /// Takes a smaller unit for u, for a loss that curves much more than the model.
  void shorten() { scale_ *= kShorter; }

  int64_t evaluations() const { return evaluations_; }
  double start() const { return start_; }

  /// A trial below the start, and below all before it.
  struct Fall {
    Tensor a;
    double loss;
  };
  const std::vector<Fall>& falls() const { return falls_; }
  /// V a.
  Tensor displacement(const Tensor& a) const {
    return basis_.vectors.mv(a.to(basis_.vectors.options()));
  }

 private:
  /// L⁻¹Vᵀg.
  Tensor in_coordinates(const Tensor& g) const {
    const Tensor along = basis_.vectors.t().mv(g).to(torch::kCPU, torch::kDouble);
    return solve_triangular(factor_, along, /*upper=*/false);
  }

  /// Leaves both at zero, as at the start, if one is not finite: the line search then turns back.
  void try_out(const Tensor& u, double& value, Tensor& gradient) {
    const Tensor a = scale_ * solve_triangular(factor_.t(), u, /*upper=*/true);
    Tensor slope;
    const double loss = trials_.at(displacement(a), slope);
    ++evaluations_;
    const Tensor trial_gradient = in_coordinates(slope) / scale_;
    if (!std::isfinite(loss) || !trial_gradient.isfinite().all().item<bool>()) return;
    value = (loss - start_) / scale_ / scale_;
    gradient = trial_gradient;
    if (loss < (falls_.empty() ? start_ : falls_.back().loss)) falls_.push_back({a, loss});
  }

  const KrylovBasis& basis_;
  Tensor factor_, start_gradient_;
  TrialLosses& trials_;
  double start_ = 0, scale_ = 0;
  int64_t evaluations_ = 0;
  std::vector<Fall> falls_;
};

/// BFGS from u = 0: with a history of all dimensions nothing is forgotten.
void minimise(SubspaceLoss& loss, int64_t dimension, const SubspaceMinimisation& rule) {
  Tensor u = torch::zeros({dimension}, torch::kDouble);
  torch::optim::LBFGS bfgs(
      {u}, torch::optim::LBFGSOptions()
               .max_iter(rule.max_iterations())
               .max_eval(rule.max_evaluations())
               .history_size(std::max(dimension, std::min(rule.max_iterations(), kLongestHistory)))
               .line_search_fn("strong_wolfe"));
  bfgs.step([&] {
    torch::NoGradGuard no_grad;
    return loss(u);
  });
}

/// At the rates, the last of the falls that is still one. Part of the way to a low point may well
/// be uphill, the less so the nearer that point is; whatever is taken, has been tried.
void take_a_fall(const SubspaceLoss& loss, const StepProblem& problem, Step& step) {
  const double enough = loss.start() + problem.trials->rounding();
  for (auto fall = loss.falls().rbegin(); fall != loss.falls().rend() && !step.found; ++fall) {
    const Tensor proposal = loss.displacement(fall->a), d = problem.at_rate(proposal);
    const double reached = torch::equal(d, proposal) ? fall->loss : problem.trials->at(d);
    if (!(reached <= enough)) continue;
    step = {d, d, proposal, fall->loss, reached, /*found=*/true};
  }
}

}  // namespace

Step SubspaceMinimisation::choose(const StepProblem& problem) {
  torch::NoGradGuard no_grad;
  check_settings(*this);
  check_problem(problem);
  const auto& basis = *problem.solution.basis;
  const int64_t dimension = basis.vectors.size(1);
  const Tensor nothing = torch::zeros_like(problem.gradient);
  Step step{nothing, nothing};
  step.found = false;
  if (dimension == 0) return step;

  const double rounding = rounding_of(basis.vectors.options());
  SubspaceLoss loss(basis, std::max(floor_, rounding), *problem.trials);
  for (int attempt = 0; attempt < kAttempts && loss.can_fall() && loss.falls().empty() &&
                        loss.evaluations() < max_evaluations_;
       ++attempt) {
    minimise(loss, dimension, *this);
    loss.shorten();
  }
  take_a_fall(loss, problem, step);
  return step;
}

std::string SubspaceMinimisation::describe() const {
  return fmt::format("SubspaceMinimisation(floor={}, max_iterations={}, max_evaluations={})",
                     floor_, max_iterations_, max_evaluations_);
}

std::unique_ptr<StepRule> SubspaceMinimisation::clone() const {
  check_settings(*this);
  return std::make_unique<SubspaceMinimisation>(*this);
}

}  // namespace natgrad
