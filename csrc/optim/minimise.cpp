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

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();
// A step that still moves θ by so much has found no minimum.
constexpr double kFlat = 1e-3;
// Of a minimum that is one: 1e-8 and less where residuals are left that are no rounding. Where they
// are, the next step shows it: it would leave so many digits in place.
constexpr double kLargestOffset = 1e-4, kShortStep = 1e-8;
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
constexpr double kRoundingOfHessian = 1e-12;
constexpr int64_t kFew = 64, kProducts = 50;
// A step of Newton's that is so short ends where R alone does not tell, as where its columns are
// dependent at the minimum.
constexpr double kShortNewtonStep = 1e-6;

Tensor values_of(const ParameterLayout& layout) {
  return layout.values().to(torch::kCPU, torch::kDouble);
}

/// The sizes of parameters by which their changes are told.
Tensor sizes_of(const Tensor& theta, const Tensor& largest) {
  return theta.abs().maximum(kOfLargest * largest);
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

  /// The largest value that each parameter has had, of which each step forgets a tenth: on the way
  /// from a bad start it may have been anything.
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
    largest_ = (kKept * largest_).maximum(theta.abs());
    change_before_ =
        std::exchange(change_, relative_change(theta - theta_, sizes_of(theta, largest_)));
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
    if (convergence_.loss() == 0 || !step.decrease) return false;
    const double fell = *step.decrease, least = convergence_.loss() * std::abs(*step.trial_loss);
    const double promised = step.ratio ? fell / *step.ratio : 0;
    return fell <= least && promised <= least;
  }

  static constexpr double kLookAgain = 1e-2, kKept = 0.9;

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
    const auto numbers = static_cast<double>(term.likelihood->outputs_per_observation());
    sum += s.sum().item<double>() / numbers;
    count += s.ne(0).sum().item<double>() / numbers;
  }
  return sum / count;
}

/// Whether every parameter still does something: ‖R_j‖ times the largest value that it has had, of
/// one that was zero all the time times 1.
bool has_influence(const EndRows& rows, const Tensor& largest, double weight) {
  const auto columns = rows.column_norms();
  const auto change = columns * torch::where(largest > 0, largest, 1);
  double least = kLeastInfluence * norm_in_double(rows.residuals);
  if (!rows.are_squared_errors) least = std::max(least, std::sqrt(kLeastNats * weight));
  return (columns > 0).logical_and(change >= least).all().item<bool>();
}

/// A = D⁻¹ ∇² D⁻¹ and D⁻¹ ∇, of diagonals D that make parameters alike.
struct Scaled {
  LinearOperator hessian;
  Tensor gradient, scales;
};

Scaled scaled_end(const Objective& objective, const LossGraph& graph,
                  const std::optional<EndRows>& rows, const Tensor& largest) {
  const auto H = objective.hessian(graph);
  const auto scales = rows ? rows->lengths : torch::where(largest > 0, largest, 1).reciprocal();
  const auto d = scales.to(H.options());
  // By U, of which the step of Gauss and Newton is made: so that both round alike.
  const auto g = rows ? -rows->triangle.t().mv(rows->right) : objective.gradient(graph) / d;
  return {LinearOperator("scaled Hessian", H.size(), H.options(),
                         [H, d](const Tensor& v) { return H.multiply(v / d) / d; }),
          g.to(H.options()), d};
}

/// What the second derivative says of the end.
struct Curved {
  bool is_saddle = false;
  Tensor step = {};  ///< Newton's, up to its sign; undefined where ∇² is singular to rounding
};

/// By all eigenvalues.
Curved curved_by_all(const Scaled& end) {
  const auto A = dense(end.hessian).to(torch::kDouble);
  const auto [values, vectors] = torch::linalg_eigh(0.5 * (A + A.t()));
  const double least = values.min().item<double>(), largest = values.abs().max().item<double>();
  if (least < -kNegative * largest) return {.is_saddle = true};
  if (!(least > kRoundingOfHessian * largest)) return {};
  const auto y = vectors.mv(vectors.t().mv(end.gradient.to(torch::kDouble)) / values);
  return {.step = y / end.scales};
}

/// By the lowest eigenvalue, as far as a few products show it, and conjugate gradients.
Curved curved_by_few(const Scaled& end) {
  const auto probe = torch::ones_like(end.scales);
  const double usual = norm_in_double(end.hessian.multiply(probe)) / norm_in_double(probe);
  const auto lowest = leading_eigenpairs(
      -1. * end.hessian,
      LanczosOptions().leading(Leading::Algebraic).max_iterations(kProducts).tolerance(kFlat));
  const double below = lowest.values[0].item<double>();
  if (below > std::max(lowest.residuals[0].item<double>(), kNegative * usual)) {
    return {.is_saddle = true};
  }
  const auto solver = ConjugateGradient().tolerance(kFlat).max_iterations(kProducts);
  const auto solution = solver.solve(end.hessian, end.gradient.contiguous());
  if (solution.summary.termination != Termination::Converged) return {};
  return {.step = solution.x / end.scales};
}

/// Nothing where the closure's ops have no second derivative.
std::optional<Curved> curved_at_end(const Objective& objective, const LossGraph& graph,
                                    const std::optional<EndRows>& rows, const Tensor& largest) try {
  const auto end = scaled_end(objective, graph, rows, largest);
  return end.hessian.size() <= kFew ? curved_by_all(end) : curved_by_few(end);
} catch (const c10::Error&) {
  return std::nullopt;
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

/// The sizes of parameters, of those that have been zero all the time by what they can do: a change
/// of ‖t‖/‖R_j‖ is one of all residuals, or without rows of 1.
Tensor sizes_at_end(const std::optional<EndRows>& rows, const Tensor& theta,
                    const Tensor& largest) {
  const auto sizes = sizes_of(theta, largest);
  const auto unit =
      rows ? norm_in_double(rows->residuals) / rows->lengths : torch::ones_like(sizes);
  return torch::where(sizes > 0, sizes, unit);
}

/// What R says of the end; answers whether it is a minimum by that.
bool judge_by_rows(const EndRows& rows, const LossGraph& graph, const Tensor& sizes,
                   Minimum& minimum) {
  minimum.offset = rows.offset();
  minimum.digits = kNotKnown;
  if (!rows.is_determined()) return minimum.offset <= kLargestOffset;
  const double left = relative_change(rows.step(), sizes);
  minimum.digits = digits_of(std::max(left, relative_change(rows.rounding_of_step(), sizes)));
  if (rows.observations > sizes.numel()) {
    describe_covariance(rows, mean_weight(graph), minimum);
  }
  return left <= kFlat && (minimum.offset <= kLargestOffset || left <= kShortStep);
}

/// What the second derivative says; answers whether it is a minimum by both.
bool judge_by_curvature(const std::optional<Curved>& curved, bool has_rows, bool by_rows,
                        const Tensor& sizes, Minimum& minimum) {
  if (!curved) return by_rows || (!has_rows && minimum.reason == Stop::Gradient);
  if (curved->is_saddle) {
    minimum.reason = Stop::Saddle;
    return false;
  }
  if (!curved->step.defined()) return by_rows;
  const double left = relative_change(curved->step, sizes);
  minimum.digits = by_rows ? std::min(minimum.digits, digits_of(left)) : digits_of(left);
  return left <= kFlat && (by_rows || !has_rows || left <= kShortNewtonStep);
}

void describe_end(const Objective& objective, const Progress& progress, Minimum& minimum) {
  const auto graph = objective.graph();
  minimum.loss = loss_of(graph).item<double>();
  minimum.gradient_norm = norm_in_double(objective.gradient(graph));
  const auto theta = graph.parameters().values().to(torch::kDouble);
  const auto largest = progress.largest().to(theta.device());
  const auto rows = end_rows(objective, graph);
  const auto sizes = sizes_at_end(rows, theta, largest);
  const bool by_rows = rows && judge_by_rows(*rows, graph, sizes, minimum);
  if (rows && rows->are_squared_errors && rows->are_rounding(theta)) {
    minimum.reason = Stop::Vanished;
    minimum.converged = true;
    return;
  }
  if (minimum.reason == Stop::MaxSteps) return;
  if (rows && !has_influence(*rows, largest, mean_weight(graph))) {
    minimum.reason = Stop::Flat;
    return;
  }
  const auto curved = curved_at_end(objective, graph, rows, largest);
  minimum.converged = judge_by_curvature(curved, rows.has_value(), by_rows, sizes, minimum);
  // Steps by R alone never end where its columns are dependent; h may tell more.
  if (minimum.converged && minimum.reason == Stop::Flat) minimum.reason = Stop::Rounding;
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
  const auto objective = objective_of(optimizer, closure);
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
