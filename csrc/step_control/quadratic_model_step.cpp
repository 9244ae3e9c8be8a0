#include <fmt/format.h>
#include <natgrad/step_control/quadratic_model_step.h>
#include <torch/torch.h>
#include "linalg/norm.h"

#include <cmath>
#include <optional>
#include <vector>

namespace natgrad {

using torch::Tensor;

namespace {

// Curvature of p beside d that is less than this many roundings of its own is none.
constexpr double kParallel = 100;
// A length is fitted so often, each time to no less than so much of the last.
constexpr int64_t kMostFits = 4;
constexpr double kShortest = 1e-2;

/// The quadratic model on the columns of V: r = Vᵀg and H = VᵀA V, for one or two columns.
struct PlaneModel {
  Tensor r, H;  // in double on the CPU

  PlaneModel(const std::vector<Tensor>& V, const StepProblem& problem)
      : r(torch::empty({static_cast<int64_t>(V.size())}, torch::kDouble)),
        H(problem.matrix.inner(V)) {
    for (size_t k = 0; k < V.size(); ++k) r[k] = problem.gradient.dot(V[k]).item<double>();
  }

  bool finite() const { return r.isfinite().all().item<bool>() && H.isfinite().all().item<bool>(); }
};

/// The minimiser's coordinates, the first column's and the others'; none where the first column has
/// no positive curvature.
std::optional<Tensor> minimise(const PlaneModel& model, double rounding) {
  const auto h = [&](int64_t i, int64_t j) { return model.H[i][j].item<double>(); };
  const auto r = [&](int64_t i) { return model.r[i].item<double>(); };
  if (!model.finite() || h(0, 0) <= 0) return std::nullopt;
  auto at = torch::zeros_like(model.r);
  at[0] = -r(0) / h(0, 0);
  if (at.numel() == 1) return at;
  // p - s d is conjugate to d, so that its part is found by itself.
  const double s = h(0, 1) / h(0, 0), curvature = h(1, 1) - s * h(0, 1);
  if (curvature <= kParallel * rounding * h(1, 1)) return at;
  const double mu = -(r(1) - s * r(0)) / curvature;
  at[0] -= s * mu;
  at[1] = mu;
  return at;
}

/// v of length 1: products of numbers as small or large as v's could under- or overflow.
Tensor unit(const Tensor& v) { return v / norm_in_double(v); }

}  // namespace

Step QuadraticModelStep::choose(const StepProblem& problem) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(!fitted_ || problem.trials,
              "natgrad: QuadraticModelStep().fitted(true) tries steps out, so that the loss is "
              "needed at other parameters: call `step` with a closure that computes it.");
  const auto &d = problem.solution.x, &p = problem.previous;
  const auto none = torch::zeros_like(d);
  const Step not_found = {.displacement = none, .kept = none, .found = false};
  const double size = norm_in_double(d);
  if (size == 0) return {none, none};
  if (!std::isfinite(size)) return not_found;
  const bool with_previous = momentum_ && p.defined() && norm_in_double(p) > 0;
  std::vector<Tensor> V = {unit(d)};
  if (with_previous) V.push_back(unit(p));
  const auto at = minimise(PlaneModel(V, problem), rounding_of(d.options()));
  if (!at) return not_found;
  auto sum = torch::zeros_like(d);
  for (size_t k = 0; k < V.size(); ++k) sum.add_(V[k], (*at)[k].item<double>());
  const auto displacement = problem.at_rate(sum);
  Step step{displacement, displacement};
  if (fitted_) fit_length(problem, step);
  return step;
}

namespace {

/// Where the parabola of value 0, `slope` < 0 and `rise` at 1 has its minimum, in (0, 1]; near 0
/// where the rise is no number.
double minimum_of_parabola(double slope, double rise) {
  const double bend = rise - slope;
  if (!std::isfinite(rise)) return kShortest;
  return 2 * bend > -slope ? std::max(-slope / (2 * bend), kShortest) : 1;
}

}  // namespace

void QuadraticModelStep::fit_length(const StepProblem& problem, Step& step) {
  auto& trials = *problem.trials;
  const auto whole = step.displacement;
  const double slope = problem.gradient.dot(whole).item<double>();
  step.loss = trials.at(whole);
  step.proposal = whole;
  step.proposal_loss = step.loss;
  double share = 1;
  for (int64_t fit = 0; fit < kMostFits; ++fit) {
    const double t = minimum_of_parabola(share * slope, *step.loss - trials.start());
    if (t == 1) return;
    share *= t;
    step.displacement = step.kept = share * whole;
    step.loss = trials.at(step.displacement);
    if (*step.loss <= trials.start()) return;
  }
}

std::string QuadraticModelStep::describe() const {
  return fmt::format("QuadraticModelStep(momentum={}, whole_batch={}, fitted={})", momentum_,
                     whole_batch_, fitted_);
}

std::unique_ptr<StepRule> QuadraticModelStep::clone() const {
  return std::make_unique<QuadraticModelStep>(*this);
}

}  // namespace natgrad
