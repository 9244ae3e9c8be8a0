#include <fmt/format.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/linalg/lanczos.h>
#include <natgrad/linalg/parameters.h>
#include <natgrad/optim/minimise.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "graph/loss_graph_state.h"
#include "linalg/norm.h"
#include "optim/end_rows.h"
#include "optim/preserved.h"
#include "optim/trainable.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();
// A step that still moves θ by so much has found no minimum.
constexpr double kFlat = 1e-3;
// Of a minimum that is one: 1e-8 and less where residuals are left that are no rounding. Where they
// are, the next step shows it: it would leave so many digits in place.
constexpr double kLargestOffset = 1e-4, kEnoughDigits = 8;
// A parameter that changes the residuals, all of it, by less than this share of them has gone off
// to where it does nothing; as one of a likelihood has on which less than 1e-6 nats depend.
constexpr double kLeastInfluence = 1e-8, kLeastNats = 1e-6;
// A step that is no shorter than this share of the one before makes no progress of its own.
constexpr double kShrinks = 0.5;
// Rejections in a row after which no shorter step will do either.
constexpr int64_t kMostRejections = 60;
constexpr double kMostDigits = 15;
// The share of the largest value that a parameter has had which counts as its size at least: of
// one whose minimum is at zero no digit can be asked.
constexpr double kOfLargest = 1e-6;
// Curvatures below zero, of the largest, that are no rounding; parameters up to which all are seen.
constexpr double kNegative = 1e-6;
constexpr int64_t kFew = 64, kProducts = 50;

/// The parameters that steps move: those that require a gradient, at a rate.
ParameterLayout moved_parameters(const torch::optim::Optimizer& optimizer) {
  const auto trainable = trainable_of(optimizer.param_groups());
  std::vector<Tensor> moved;
  for (const auto& [options, begin, end] : trainable.groups) {
    if (options->lr() == 0) continue;
    for (size_t i = begin; i < end; ++i) moved.push_back(trainable.parameters[i]);
  }
  TORCH_CHECK(!moved.empty(), "natgrad: minimise moves nothing: every group's lr is 0.");
  return ParameterLayout(std::move(moved));
}

bool takes_plain_loss(const torch::optim::Optimizer& optimizer) {
  const auto& groups = optimizer.param_groups();
  return std::all_of(groups.begin(), groups.end(), [](const auto& group) {
    return options_of(group).weight_decay() == 0 && !options_of(group).maximize();
  });
}

Tensor values_of(const ParameterLayout& layout) {
  return layout.values().to(torch::kCPU, torch::kDouble);
}

/// The largest |δ_j|/|θ_j|; of a parameter that is and was zero nothing is asked.
double relative_change(const Tensor& delta, const Tensor& size) {
  return torch::where(size > 0, delta.abs() / size, 0).max().item<double>();
}

double digits_of(double change) {
  return change > 0 ? std::clamp(-std::log10(change), 0., kMostDigits) : kMostDigits;
}

/// What the steps so far tell of the end.
class Progress {
 public:
  Progress(const Convergence& convergence, const Objective& objective)
      : convergence_(convergence),
        objective_(objective),
        theta_(values_of(objective.layout)),
        largest_(theta_.abs()),
        vanishing_(std::pow(rounding_of(objective.layout.options()), 1.5)) {}

  /// Why it ends with this step, if it does.
  std::optional<Stop> observe(const StepSummary& step) {
    if (std::isnan(first_loss_)) first_loss_ = step.loss;
    switch (step.outcome) {
      case StepOutcome::Accepted:
      case StepOutcome::BelowRounding:
        return observe_move(step);
      case StepOutcome::ZeroGradient:
        return Stop::Gradient;
      case StepOutcome::NonFiniteLoss:
      case StepOutcome::NonFiniteGradient:
        return step.restored ? std::nullopt : std::optional(Stop::NonFinite);
      case StepOutcome::DampingExhausted:
        return Stop::Stalled;
      default:
        return ++rejections_ > kMostRejections ? std::optional(Stop::Stalled) : std::nullopt;
    }
  }

  /// The largest value that each parameter has had.
  const Tensor& largest() const { return largest_; }

  /// By the ratio κ of the last two changes the next ones add up to κ/(1 - κ) of the last.
  double digits() const {
    if (std::isnan(change_before_)) return kNotKnown;
    if (change_ == 0) return kMostDigits;
    const double ratio = std::min(change_ / change_before_, 1 - 1e-3);
    const double left = std::max(change_ * ratio / (1 - ratio), change_ * 1e-3);
    return std::clamp(-std::log10(left), 0., kMostDigits);
  }

 private:
  std::optional<Stop> observe_move(const StepSummary& step) {
    rejections_ = 0;
    const auto theta = values_of(objective_.layout);
    largest_ = largest_.maximum(theta.abs());
    change_before_ = std::exchange(
        change_, relative_change(theta - theta_, theta.abs().maximum(kOfLargest * largest_)));
    theta_ = theta;
    const double norm_before = std::exchange(norm_, step.step_norm);
    // Without a ratio promise and decrease were both below the rounding of h.
    const bool is_rounding = step.trial_loss && !step.ratio;
    const bool was_rounding = std::exchange(was_rounding_, is_rounding);
    if (step.gradient_norm <= convergence_.gradient()) return Stop::Gradient;
    if (has_vanished(step)) return Stop::Vanished;
    if (change_ <= convergence_.step()) return Stop::Step;
    if (is_rounding && was_rounding && norm_ > kShrinks * norm_before) {
      return change_ > kFlat ? Stop::Flat : Stop::Rounding;
    }
    if (fell_by_little(step)) return Stop::Loss;
    return std::nullopt;
  }

  /// Looks only where h has fallen far, and again where it has by as much more.
  bool has_vanished(const StepSummary& step) {
    const double h = step.trial_loss ? std::abs(*step.trial_loss) : kNotKnown;
    if (!(h <= vanishing_ * std::abs(first_loss_))) return false;
    vanishing_ = kLookAgain * h / std::abs(first_loss_);
    const auto rows = end_rows(objective_, objective_.graph());
    return rows && rows->are_squared_errors && rows->are_rounding(theta_);
  }

  bool fell_by_little(const StepSummary& step) const {
    if (convergence_.loss() == 0 || !step.trial_loss) return false;
    const double fell = step.loss - *step.trial_loss,
                 least = convergence_.loss() * std::abs(step.loss);
    const double promised = step.ratio ? fell / *step.ratio : 0;
    return fell <= least && promised <= least;
  }

  static constexpr double kLookAgain = 1e-2;

  const Convergence& convergence_;
  const Objective& objective_;
  Tensor theta_, largest_;
  double vanishing_;  ///< the share of the first loss at which it is looked at
  double first_loss_ = kNotKnown, change_ = kNotKnown, change_before_ = kNotKnown,
         norm_ = kNotKnown;
  bool was_rounding_ = false;
  int64_t rejections_ = 0;
};

/// A line a second.
class Line {
 public:
  explicit Line(bool prints) : prints_(prints) {}
  void print(int64_t steps, const StepSummary& step) {
    if (!prints_ || std::chrono::steady_clock::now() < next_) return;
    next_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    fmt::print(stderr, "step {}: loss {:.9g}, |gradient| {:.3g}, lambda {:.2g}\n", steps, step.loss,
               step.gradient_norm, step.lambda);
  }

 private:
  bool prints_;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
};

/// Of all observations that count.
double mean_weight(const LossGraph& graph) {
  double sum = 0, count = 0;
  for (const auto& term : graph.terms()) {
    const auto& z = term.likelihood->outputs();
    const auto s = term.weights.expand_as(z).to(torch::kDouble);
    sum += s.sum().item<double>();
    count += s.ne(0).sum().item<double>();
  }
  return sum / count;
}

/// Whether every parameter still does something: ‖R_j‖ times the largest value that it has had, of
/// one that was zero all the time times 1.
bool has_influence(const EndRows& rows, const Tensor& largest, double weight) {
  const auto change = rows.lengths * torch::where(largest > 0, largest, 1);
  double least = kLeastInfluence * norm_in_double(rows.residuals);
  if (!rows.are_squared_errors) least = std::max(least, std::sqrt(kLeastNats * weight));
  const auto columns = rows.R.abs().amax({0});
  return (columns > 0).logical_and(change >= least).all().item<bool>();
}

/// A = D⁻¹ ∇²h D⁻¹, of diagonals D that make parameters alike.
struct ScaledHessian {
  LinearOperator matrix;
  Tensor scales;  ///< D
};

ScaledHessian scaled_hessian(const LinearOperator& hessian, const Tensor& D) {
  const auto d = D.to(hessian.options());
  return {LinearOperator("scaled Hessian", hessian.size(), hessian.options(),
                         [hessian, d](const Tensor& v) { return hessian.multiply(v / d) / d; }),
          d};
}

/// Whether h goes down from here to both sides of some direction.
bool is_saddle(const ScaledHessian& hessian) {
  if (hessian.matrix.size() <= kFew) {
    const auto A = dense(hessian.matrix).to(torch::kDouble);
    const auto values = torch::linalg_eigvalsh(0.5 * (A + A.t()));
    return (values.min() < -kNegative * values.abs().max()).item<bool>();
  }
  const auto& A = hessian.matrix;
  const auto probe = torch::ones_like(hessian.scales);
  const double usual = norm_in_double(A.multiply(probe)) / norm_in_double(probe);
  const auto lowest = leading_eigenpairs(
      -1. * A,
      LanczosOptions().leading(Leading::Algebraic).max_iterations(kProducts).tolerance(kFlat));
  const double below = lowest.values[0].item<double>();
  return below > lowest.residuals[0].item<double>() && below > kNegative * usual;
}

/// Of Newton's step, ∇²h δ = -∇h.
Tensor newton_step(const ScaledHessian& hessian, const Tensor& gradient) {
  const auto b = (-gradient / hessian.scales).contiguous();
  if (hessian.matrix.size() <= kFew) {
    return torch::linalg_solve(dense(hessian.matrix), b) / hessian.scales;
  }
  const auto solver = ConjugateGradient().tolerance(kFlat).max_iterations(kProducts);
  return solver.solve({hessian.matrix, b}).x / hessian.scales;
}

void describe_covariance(const EndRows& rows, double weight, Minimum& minimum) {
  const auto P = rows.triangle.size(1);
  const auto inverse = rows.solve(torch::eye(P, rows.triangle.options()));
  const double size = norm_in_double(rows.residuals);
  const double dispersion =
      rows.are_squared_errors ? size * size / static_cast<double>(rows.observations - P) : weight;
  minimum.covariance = dispersion * inverse.mm(inverse.t());
  minimum.standard_errors = minimum.covariance.diagonal().sqrt();
}

void describe_by_rows(const EndRows& rows, const LossGraph& graph, const Progress& progress,
                      Minimum& minimum) {
  minimum.offset = rows.offset();
  minimum.digits = kNotKnown;
  const double weight = mean_weight(graph);
  const auto theta = graph.parameters().values().to(torch::kDouble);
  if (rows.are_squared_errors && rows.are_rounding(theta)) {
    minimum.reason = Stop::Vanished;
  } else if (!has_influence(rows, progress.largest().to(theta.device()), weight)) {
    minimum.reason = Stop::Flat;
  }
  if (!rows.is_determined()) return;
  const auto size = theta.abs().maximum(kOfLargest * progress.largest().to(theta.device()));
  const double left = relative_change(rows.step(), size);
  minimum.digits = digits_of(left);
  if (minimum.reason != Stop::Vanished && left > kFlat) minimum.reason = Stop::Flat;
  describe_covariance(rows, weight, minimum);
}

bool may_be_minimum(const Minimum& minimum) {
  switch (minimum.reason) {
    case Stop::NonFinite:
    case Stop::MaxSteps:
    case Stop::Flat:
    case Stop::Saddle:
      return false;
    case Stop::Vanished:
      return true;
    case Stop::Stalled:
      return minimum.offset <= kLargestOffset || minimum.digits >= kEnoughDigits;
    default:
      return !(minimum.offset > kLargestOffset) || minimum.digits >= kEnoughDigits;
  }
}

/// By the second derivative, where the closure's ops have one.
void judge_by_hessian(const LossGraph& graph, const std::optional<EndRows>& rows,
                      const Progress& progress, Minimum& minimum) try {
  const auto H = hessian(graph);
  const auto largest = progress.largest().to(H.options());
  const auto D = rows ? rows->lengths : torch::where(largest > 0, largest, 1).reciprocal();
  const auto A = scaled_hessian(H, D);
  if (is_saddle(A)) {
    minimum.reason = Stop::Saddle;
    minimum.converged = false;
  }
  if (rows || !minimum.converged) return;
  const auto size = graph.parameters().values().abs().maximum(kOfLargest * largest);
  const double left = relative_change(newton_step(A, graph.gradient()), size);
  minimum.digits = digits_of(left);
  minimum.converged = left <= kFlat;
} catch (const c10::NotImplementedError&) {
  minimum.converged = minimum.converged && (rows || minimum.reason == Stop::Gradient);
}

void describe_end(const Objective& objective, const Progress& progress, Minimum& minimum) {
  const auto graph = objective.graph();
  minimum.loss = loss_of(graph).item<double>();
  minimum.gradient_norm = norm_in_double(graph.gradient());
  const auto rows = end_rows(objective, graph);
  if (rows) describe_by_rows(*rows, graph, progress, minimum);
  minimum.converged = may_be_minimum(minimum);
  if (minimum.converged && minimum.reason != Stop::Vanished && objective.is_plain) {
    judge_by_hessian(graph, rows, progress, minimum);
  }
}

}  // namespace

const char* to_string(Stop reason) {
  switch (reason) {
    case Stop::Gradient:
      return "Gradient";
    case Stop::Step:
      return "Step";
    case Stop::Loss:
      return "Loss";
    case Stop::Rounding:
      return "Rounding";
    case Stop::Vanished:
      return "Vanished";
    case Stop::Flat:
      return "Flat";
    case Stop::Saddle:
      return "Saddle";
    case Stop::Stalled:
      return "Stalled";
    case Stop::NonFinite:
      return "NonFinite";
    case Stop::MaxSteps:
      return "MaxSteps";
  }
  return "unknown";
}

void Convergence::check() const {
  TORCH_CHECK(gradient_ >= 0 && step_ >= 0 && loss_ >= 0,
              "natgrad: Convergence takes tolerances >= 0, but got gradient ", gradient_, ", step ",
              step_, ", loss ", loss_, ".");
  TORCH_CHECK(max_steps_ >= 1, "natgrad: Convergence takes max_steps >= 1, but got ", max_steps_,
              ".");
}

std::string Minimum::message() const {
  auto text = fmt::format("{} after {} steps ({}): loss {:.12g}, gradient {:.3g}",
                          converged ? "converged" : "not converged", steps, to_string(reason), loss,
                          gradient_norm);
  if (!std::isnan(offset)) text += fmt::format(", offset {:.2g}", offset);
  if (!std::isnan(digits)) text += fmt::format(", digits {:.1f}", digits);
  return text;
}

Minimum minimise(NaturalGradient& optimizer, const NaturalGradient::LossClosure& closure,
                 const Convergence& convergence) {
  convergence.check();
  const Objective objective{moved_parameters(optimizer), closure, takes_plain_loss(optimizer)};
  Progress progress(convergence, objective);
  Line line(convergence.progress());
  Minimum minimum;
  for (std::optional<Stop> reason; !reason && minimum.steps < convergence.max_steps();) {
    optimizer.step(closure);
    ++minimum.steps;
    line.print(minimum.steps, optimizer.summary());
    reason = progress.observe(optimizer.summary());
    if (reason) minimum.reason = *reason;
  }
  minimum.digits = progress.digits();
  minimum.loss = optimizer.summary().loss;
  minimum.gradient_norm = optimizer.summary().gradient_norm;
  if (minimum.reason == Stop::NonFinite) return minimum;
  Preserved before;
  before.parameters(objective.layout.tensors());
  polish(objective);
  describe_end(objective, progress, minimum);
  before.commit();
  return minimum;
}

}  // namespace natgrad
