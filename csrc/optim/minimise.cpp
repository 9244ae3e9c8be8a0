#include <fmt/format.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/linalg/parameters.h>
#include <natgrad/optim/minimise.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "graph/loss_graph_state.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();
// The squares of residuals of a few roundings each.
constexpr double kVanished = 1e-28;
// Steps that still move θ by so much have found no minimum.
constexpr double kFlat = 1e-3;
// Of a minimum that is one: 1e-8 and less where residuals are left that are no rounding. Where they
// are, the next step shows it: it would leave so many digits in place.
constexpr double kLargestOffset = 1e-4, kEnoughDigits = 8;
// A parameter that changes the residuals, all of it, by less than this share of them has gone off
// to where it does nothing.
constexpr double kLeastInfluence = 1e-8;
// A step that is no shorter than this share of the one before makes no progress of its own.
constexpr double kShrinks = 0.5;
// Rejections in a row after which no shorter step will do either.
constexpr int64_t kMostRejections = 60;
constexpr double kMostDigits = 15;

Tensor values_of(const torch::optim::Optimizer& optimizer) {
  std::vector<Tensor> pieces;
  for (const auto& group : optimizer.param_groups()) {
    for (const auto& parameter : group.params()) {
      pieces.push_back(parameter.detach().reshape(-1).to(torch::kCPU, torch::kDouble, false, true));
    }
  }
  return torch::cat(pieces);
}

/// The largest |δ_j|/|θ_j|; of a parameter that is zero nothing is asked.
double relative_change(const Tensor& before, const Tensor& after) {
  const auto size = after.abs();
  return torch::where(size > 0, (after - before).abs() / size, 0).max().item<double>();
}

/// What the steps so far tell of the end.
class Progress {
 public:
  Progress(const Convergence& convergence, const torch::optim::Optimizer& optimizer)
      : convergence_(convergence),
        optimizer_(optimizer),
        start_(values_of(optimizer)),
        theta_(start_) {}

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

  const Tensor& start() const { return start_; }

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
    const auto theta = values_of(optimizer_);
    change_before_ = std::exchange(change_, relative_change(theta_, theta));
    theta_ = theta;
    const double norm_before = std::exchange(norm_, step.step_norm);
    // Without a ratio promise and decrease were both below the rounding of h.
    const bool is_rounding = step.trial_loss && !step.ratio;
    const bool was_rounding = std::exchange(was_rounding_, is_rounding);
    if (step.gradient_norm <= convergence_.gradient()) return Stop::Gradient;
    if (step.trial_loss && std::abs(*step.trial_loss) <= kVanished * std::abs(first_loss_)) {
      return Stop::Vanished;
    }
    if (change_ <= convergence_.step()) return Stop::Step;
    if (is_rounding && was_rounding && norm_ > kShrinks * norm_before) {
      return change_ > kFlat ? Stop::Flat : Stop::Rounding;
    }
    if (fell_by_little(step)) return Stop::Loss;
    return std::nullopt;
  }

  bool fell_by_little(const StepSummary& step) const {
    if (convergence_.loss() == 0 || !step.trial_loss) return false;
    const double fell = step.loss - *step.trial_loss,
                 least = convergence_.loss() * std::abs(step.loss);
    const double promised = step.ratio ? fell / *step.ratio : 0;
    return fell <= least && promised <= least;
  }

  const Convergence& convergence_;
  const torch::optim::Optimizer& optimizer_;
  Tensor start_, theta_;
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

bool are_squared_errors(const LossGraph& graph) {
  const auto& terms = graph.terms();
  return std::all_of(terms.begin(), terms.end(), [](const LossTerm& term) {
    return dynamic_cast<const Gaussian*>(term.likelihood.get()) != nullptr;
  });
}

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

/// The parameters that a step moves.
std::vector<Tensor> trained(const torch::optim::Optimizer& optimizer) {
  std::vector<Tensor> parameters;
  for (const auto& group : optimizer.param_groups()) {
    for (const auto& parameter : group.params()) {
      if (parameter.requires_grad()) parameters.push_back(parameter);
    }
  }
  return parameters;
}

/// R D⁻¹ = Q U and q = Qᵀt at one θ, with columns of length 1.
struct RowsAt {
  Tensor lengths, triangle, right, residuals;
  int64_t rows = 0;

  double offset() const {
    const double size = norm_in_double(residuals);
    return size > 0 ? norm_in_double(right) / size : 0;
  }
  /// Whether R has more rows than columns, and these are independent.
  bool is_determined() const {
    const auto columns = triangle.size(1);
    if (rows <= columns) return false;
    const auto pivots = triangle.diagonal().abs();
    const double roundings = static_cast<double>(columns) * std::numeric_limits<double>::epsilon();
    return (pivots.min() > roundings * pivots.max()).item<bool>();
  }
  Tensor solve(const Tensor& b) const {
    return torch::linalg_solve_triangular(triangle, b, /*upper=*/true) / lengths.unsqueeze(1);
  }
  /// The step of Gauss and Newton.
  Tensor step() const { return solve(right.unsqueeze(1)).squeeze(1); }
};

/// Nothing where the loss does not come as rows.
std::optional<RowsAt> rows_at(const LossGraph& graph) {
  if (!graph.is_readable() || graph.has_penalties() || !has_fisher(graph)) return std::nullopt;
  const bool is_likelihood = std::none_of(graph.terms().begin(), graph.terms().end(),
                                          [](const LossTerm& term) { return term.is_own(); });
  if (!is_likelihood || graph.negative_weights() > 0) return std::nullopt;
  const auto at = FisherRows().at(graph);
  if (!at.targets.defined()) return std::nullopt;
  const auto R = at.matrix.root_form()->root->matrix().to(torch::kDouble);
  const auto columns = R.norm(2, {0});
  RowsAt rows;
  rows.rows = R.size(0);
  rows.lengths = torch::where(columns > 0, columns, 1);
  rows.residuals = at.targets.to(torch::kDouble);
  const auto [Q, U] = torch::linalg_qr(R / rows.lengths);
  rows.triangle = U;
  rows.right = Q.t().mv(rows.residuals);
  return rows;
}

/// The last digits, which h is too coarse to show: steps of Gauss and Newton, judged by the offset.
class Polish {
 public:
  Polish(const torch::optim::Optimizer& optimizer, const NaturalGradient::LossClosure& closure)
      : layout_(trained(optimizer)), closure_(closure) {}

  /// Leaves θ where the offset was least, and answers the loss's graph there.
  LossGraph run() {
    auto graph = graph_here();
    auto rows = rows_at(graph);
    auto best = layout_.values().clone();
    double least = rows ? rows->offset() : kNotKnown;
    for (int64_t vain = 0; vain < kVainSteps && is_worth_it(rows);) {
      add(rows->step());
      graph = graph_here();
      rows = rows_at(graph);
      const double offset = rows ? rows->offset() : kNotKnown;
      vain = offset < kProgress * least ? 0 : vain + 1;
      if (!(offset < least)) continue;
      least = offset;
      best = layout_.values().clone();
    }
    add(best - layout_.values());
    return graph_here();
  }

 private:
  static constexpr int64_t kVainSteps = 4;
  static constexpr double kProgress = 0.9;
  static constexpr double kNear = 1e-4, kDone = 1e-15;

  LossGraph graph_here() const {
    const torch::AutoGradMode enable_grad(true);
    return LossGraph(closure_(), layout_.tensors(), Terms::WhenAsked);
  }
  bool is_worth_it(const std::optional<RowsAt>& rows) const {
    return rows && rows->is_determined() && rows->offset() <= kNear && rows->offset() > kDone;
  }
  void add(const Tensor& step) {
    const torch::NoGradGuard no_grad;
    const auto pieces = layout_.views(step.to(layout_.options()));
    for (size_t i = 0; i < pieces.size(); ++i) layout_.tensors()[i].add_(pieces[i]);
  }

  ParameterLayout layout_;
  const NaturalGradient::LossClosure& closure_;
};

/// Whether every parameter still changes the residuals: ‖R_j‖ times its size, or that at the start.
bool has_influence(const RowsAt& rows, const Tensor& theta, const Tensor& start) {
  auto size = theta.abs();
  if (start.sizes() == theta.sizes()) size = size.maximum(start.abs());
  const auto change = rows.lengths * torch::where(size > 0, size, 1);
  return (change >= kLeastInfluence * norm_in_double(rows.residuals)).all().item<bool>();
}

void describe_end(const LossGraph& graph, const Tensor& start, Minimum& minimum) {
  minimum.loss = loss_of(graph).item<double>();
  minimum.gradient_norm = norm_in_double(graph.gradient());
  const auto rows = rows_at(graph);
  if (!rows) return;
  minimum.offset = rows->offset();
  const auto theta = graph.parameters().values().to(torch::kDouble);
  if (minimum.reason != Stop::Vanished && !has_influence(*rows, theta, start)) {
    minimum.reason = Stop::Flat;
  }
  if (!rows->is_determined()) return;
  const double left = relative_change(theta - rows->step(), theta);
  minimum.digits = left > 0 ? std::clamp(-std::log10(left), 0., kMostDigits) : kMostDigits;
  const auto inverse = rows->solve(torch::eye(theta.numel(), rows->triangle.options()));
  const double size = norm_in_double(rows->residuals);
  const double dispersion = are_squared_errors(graph)
                                ? size * size / static_cast<double>(rows->rows - theta.numel())
                                : mean_weight(graph);
  minimum.covariance = dispersion * inverse.mm(inverse.t());
  minimum.standard_errors = minimum.covariance.diagonal().sqrt();
}

bool is_minimum(const Minimum& minimum) {
  switch (minimum.reason) {
    case Stop::NonFinite:
    case Stop::MaxSteps:
    case Stop::Flat:
      return false;
    case Stop::Vanished:
      return true;
    case Stop::Stalled:
      return minimum.offset <= kLargestOffset;
    default:
      return !(minimum.offset > kLargestOffset) || minimum.digits >= kEnoughDigits;
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
  return fmt::format("{} after {} steps ({}): loss {:.12g}, offset {:.2g}, digits {:.1f}",
                     converged ? "converged" : "not converged", steps, to_string(reason), loss,
                     offset, digits);
}

Minimum minimise(NaturalGradient& optimizer, const NaturalGradient::LossClosure& closure,
                 const Convergence& convergence) {
  convergence.check();
  Progress progress(convergence, optimizer);
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
  if (minimum.reason == Stop::NonFinite) return minimum;
  Polish polish(optimizer, closure);
  describe_end(polish.run(), progress.start(), minimum);
  minimum.converged = is_minimum(minimum);
  return minimum;
}

}  // namespace natgrad
