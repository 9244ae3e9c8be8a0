#include <fmt/format.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "solvers/linear_system.h"
#include "solvers/scalars.h"

namespace natgrad {
namespace {

using torch::Tensor;

enum Stop : int {
  kSmallResidual = kRunning + 1,
  kSmallProgress,
  kNegativeCurvature,
  kNoCurvature,
  kNonFinite,
  kIndefinitePreconditioner
};

// A restart from the recomputed residual has to lower it at least by this factor; else the accuracy
// that the arithmetic allows is reached.
constexpr double kRestartGain = 0.5;
constexpr int64_t kDeviceCheckInterval = 5;

// Martens 2010, section 4.4: k = max(10, i/10).
int64_t progress_window(int64_t iteration) { return std::max<int64_t>(10, iteration / 10); }

Termination termination_of(int status) {
  switch (status) {
    case kSmallResidual:
      return Termination::Converged;
    case kSmallProgress:
      return Termination::RelativeProgress;
    case kNegativeCurvature:
      return Termination::NegativeCurvature;
    case kNoCurvature:
      return Termination::Breakdown;
    case kNonFinite:
      return Termination::NonFinite;
    case kIndefinitePreconditioner:
      TORCH_CHECK(false,
                  "natgrad: the preconditioner is not positive definite: rᵀMr > 0 fails for a "
                  "residual r. Conjugate gradients need M ≈ A⁻¹ positive definite and finite.");
    default:
      return Termination::IterationLimit;
  }
}

/// Whether iteration i is ⌈γᵏ⌉ for some k ≥ 0.
bool is_snapshot(double growth, int64_t iteration) {
  if (growth == 0) return false;
  const auto i = static_cast<double>(iteration);
  if (i * (growth - 1) <= 1) return true;  // there, powers are less than one apart
  const double k = std::floor(std::log(i) / std::log(growth));  // or the next, with the ceiling
  return std::ceil(std::pow(growth, k)) == i || std::ceil(std::pow(growth, k + 1)) == i;
}

/// x at an iteration.
struct Snapshot {
  int64_t iteration;
  Tensor x;
};

/// The system divided by `scale`, so that no product of its numbers over- or underflows.
struct ScaledSystem {
  const LinearOperator& matrix;
  const std::optional<LinearOperator>& preconditioner;
  Tensor b, x, residual;
};

/// The recurrence, with its scalars as doubles or as 0-d tensors on the device (see scalars.h).
template <class Scalars>
class Recurrence {
 public:
  using Scalar = typename Scalars::Scalar;

  Recurrence(const ConjugateGradient& options, ScaledSystem system, Scalars scalars,
             int64_t check_interval)
      : options_(options),
        system_(std::move(system)),
        scalars_(std::move(scalars)),
        r_(system_.residual),
        epsilon_(rounding_of(r_.options())),
        threshold_(options.tolerance() * system_.b.norm().item<double>()),
        floor_(epsilon_ * epsilon_ * system_.b.norm().item<double>()),
        check_interval_(check_interval) {
    start();
    largest_rayleigh_ = 0.0 * rz_;
  }

  Solution solve() {
    int status = run();
    double believed = std::numeric_limits<double>::infinity();
    while (status == kSmallResidual && !fresh_) {
      // The recurrence says that the residual is small: only the residual itself is believed.
      started_ = scalars_.iterations();  // those after the stop did not count
      keep_snapshots_until(started_);
      r_ = system_.b - multiply(system_.x);
      start();
      const double residual = scalars_.value(r_norm_);
      const bool stagnates = residual > kRestartGain * believed;
      believed = residual;
      status = scalars_.status() == kRunning && stagnates ? kNoCurvature : run();
    }
    const auto summary = summarise(status);
    keep_snapshots_until(summary.iterations - 1);  // the last x is the solution
    Solution solution{system_.x, summary};
    for (const auto& snapshot : snapshots_) solution.snapshots.push_back(snapshot.x);
    return solution;
  }

 private:
  /// p = z = M r.
  void start() {
    scalars_.resume();
    precondition();
    p_ = z_.clone();
    p_weight_ = rz_ = scalars_.dot(r_, z_);
    r_norm_ = residual_norm(rz_);
    quadratic_ = -0.5 * (scalars_.dot(system_.x, r_) + scalars_.dot(system_.x, system_.b));
    history_ = {quadratic_};
    fresh_ = true;
    stop_by_rules(rz_);
  }

  /// Iterates until something stops it; the scalars are looked at every `check_interval`
  /// iterations.
  int run() {
    int status = scalars_.status();
    while (status == kRunning && started_ < options_.max_iterations()) {
      for (int64_t i = 0; i < check_interval_ && started_ < options_.max_iterations(); ++i)
        iterate();
      status = scalars_.status();
    }
    return status;
  }

  void iterate() {
    ++started_;
    fresh_ = false;
    const Tensor Ap = multiply(p_);
    const Scalar pAp = scalars_.dot(p_, Ap);
    require_curvature(pAp);
    scalars_.count();
    const Scalar step = rz_ / pAp;
    // So little curvature that x would leave the range of its numbers is as good as none.
    scalars_.stop_if(step > largest_number_of(r_.options()), kNoCurvature);
    const Scalar alpha = scalars_.zero_once_stopped(step);
    scalars_.axpy(system_.x, alpha, p_);
    scalars_.axpy(r_, -alpha, Ap);
    quadratic_ = scalars_.while_running(quadratic_ - 0.5 * alpha * rz_, quadratic_);
    precondition();
    const Scalar rz = scalars_.dot(r_, z_);
    r_norm_ = scalars_.while_running(residual_norm(rz), r_norm_);
    history_.push_back(quadratic_);
    stop_by_rules(rz);
    const Scalar beta = rz / rz_;
    scalars_.xpby(p_, z_, beta);
    p_weight_ = rz + beta * beta * p_weight_;  // pᵀM⁻¹p
    rz_ = rz;
    if (is_snapshot(options_.snapshot_growth(), started_)) {
      snapshots_.push_back({started_, system_.x.clone()});
    }
  }

  /// After a stop, iterations may have been started that moved nothing.
  void keep_snapshots_until(int64_t iteration) {
    std::erase_if(snapshots_, [&](const Snapshot& s) { return s.iteration > iteration; });
  }

  Tensor multiply(const Tensor& v) {
    ++products_;
    return system_.matrix.multiply(v);
  }

  void precondition() { z_ = system_.preconditioner ? system_.preconditioner->multiply(r_) : r_; }

  Scalar residual_norm(const Scalar& rz) const {
    return scalars_.root(system_.preconditioner ? scalars_.dot(r_, r_) : rz);
  }

  /// Curvature along p relative to the largest seen: below rounding it is noise, and α has no
  /// meaning.
  void require_curvature(const Scalar& pAp) {
    const Scalar rayleigh = pAp / p_weight_;
    scalars_.stop_if(scalars_.not_finite(rayleigh), kNonFinite);
    largest_rayleigh_ = scalars_.largest(largest_rayleigh_, rayleigh);
    const Scalar noise = kProductRounding * epsilon_ * largest_rayleigh_;
    scalars_.stop_if(rayleigh < -noise, kNegativeCurvature);
    scalars_.stop_if(rayleigh <= noise, kNoCurvature);
  }

  void stop_by_rules(const Scalar& rz) {
    scalars_.stop_if(scalars_.not_finite(r_norm_), kNonFinite);
    scalars_.stop_if(r_norm_ <= threshold_, kSmallResidual);
    // The recurrence's own r, far below rounding: nothing is left to gain, and rᵀMr would
    // underflow.
    scalars_.stop_if(r_norm_ <= floor_, kNoCurvature);
    if (system_.preconditioner) {
      scalars_.stop_if(scalars_.not_finite(rz), kIndefinitePreconditioner);
      scalars_.stop_if(rz <= 0.0, kIndefinitePreconditioner);
    }
    const auto i = static_cast<int64_t>(history_.size()) - 1;
    const auto k = progress_window(i);
    if (options_.relative_progress() > 0 && i >= k) {
      // (φᵢ - φᵢ₋ₖ)/φᵢ < kε, φᵢ < 0, without the division.
      const double share = static_cast<double>(k) * options_.relative_progress();
      scalars_.stop_if(history_[i - k] - quadratic_ < -share * quadratic_, kSmallProgress);
    }
  }

  /// A start far from the solution can leave x worse than no step, φ(x) > φ(0) = 0: then x becomes
  /// its own best multiple.
  void improve_on_zero() {
    if (!(scalars_.value(quadratic_) > 0)) return;
    const Scalar bx = scalars_.dot(system_.b, system_.x);
    const Scalar xAx = bx - scalars_.dot(system_.x, r_);
    const double c = scalars_.value(xAx) > 0 ? scalars_.value(bx / xAx) : 0;
    system_.x.mul_(c);
    r_ = system_.b + c * (r_ - system_.b);
    r_norm_ = scalars_.root(scalars_.dot(r_, r_));
    quadratic_ = -0.5 * c * bx;
  }

  SolverSummary summarise(int status) {
    if (status != kSmallResidual && status != kNonFinite) improve_on_zero();
    SolverSummary summary;
    summary.termination = termination_of(status);
    summary.iterations = scalars_.iterations();
    summary.products = products_;
    summary.residual = scalars_.value(r_norm_);
    summary.quadratic = scalars_.value(quadratic_);
    return summary;
  }

  const ConjugateGradient& options_;
  ScaledSystem system_;
  Scalars scalars_;
  Tensor r_, z_, p_;
  Scalar rz_{}, r_norm_{}, p_weight_{}, quadratic_{}, largest_rayleigh_{};
  std::vector<Scalar> history_;  // φ since the last start
  std::vector<Snapshot> snapshots_;
  double epsilon_, threshold_, floor_;
  int64_t check_interval_, started_ = 0, products_ = 0;
  bool fresh_ = false;  // no iteration since r was computed as b - A x
};

/// From the scaled system's units to the given one's.
void multiply_by(double scale, Solution& solution) {
  solution.x.mul_(scale);
  for (auto& snapshot : solution.snapshots) snapshot.mul_(scale);
  solution.summary.residual *= scale;
  solution.summary.right_hand_side *= scale;
  solution.summary.quadratic *= scale * scale;
}

void check_settings(const ConjugateGradient& options) {
  TORCH_CHECK(options.max_iterations() >= 1,
              "natgrad: ConjugateGradient needs max_iterations >= 1, but got ",
              options.max_iterations(), ".");
  TORCH_CHECK(options.tolerance() >= 0 && options.tolerance() < 1,
              "natgrad: ConjugateGradient's tolerance lies in [0, 1), but is ", options.tolerance(),
              ".");
  TORCH_CHECK(options.relative_progress() >= 0 && std::isfinite(options.relative_progress()),
              "natgrad: ConjugateGradient's relative_progress is a finite number >= 0, but is ",
              options.relative_progress(), ".");
  TORCH_CHECK(options.check_interval() >= 0,
              "natgrad: ConjugateGradient's check_interval is >= 0, but is ",
              options.check_interval(), ".");
  const double growth = options.snapshot_growth();
  TORCH_CHECK(growth == 0 || (growth > 1 && std::isfinite(growth)),
              "natgrad: ConjugateGradient's snapshot_growth is a finite number > 1, or 0 for no "
              "snapshots, but is ",
              growth, ".");
}

}  // namespace

Solution ConjugateGradient::solve(const LinearSystem& system) const {
  torch::NoGradGuard no_grad;
  check_settings(*this);
  check_sizes(system);
  const Tensor& b = system.right_hand_side;
  const bool warm = system.initial.defined();
  SolverSummary nothing_done;
  const double largest = largest_entry(b);
  if (largest == 0) {
    nothing_done.termination = Termination::Converged;
    return {torch::zeros_like(b), nothing_done};
  }
  Tensor x = warm ? system.initial.clone() : torch::zeros_like(b);
  const Tensor residual = warm ? b - system.matrix.multiply(x) : b;
  const double scale = warm ? std::max(largest, largest_entry(residual)) : largest;
  if (!std::isfinite(scale)) {
    nothing_done.termination = Termination::NonFinite;
    return {x, nothing_done};
  }

  const auto every = check_interval_ ? check_interval_ : b.is_cpu() ? 1 : kDeviceCheckInterval;
  const ScaledSystem scaled{system.matrix, system.preconditioner, b / scale, x.div_(scale),
                            residual / scale};
  auto solution = every == 1 ? Recurrence(*this, scaled, HostScalars(), every).solve()
                             : Recurrence(*this, scaled, DeviceScalars(b.device()), every).solve();
  solution.summary.products += warm;
  solution.summary.right_hand_side = scaled.b.norm().item<double>();
  multiply_by(scale, solution);
  return solution;
}

Solution ConjugateGradient::solve(const LinearOperator& matrix,
                                  const Tensor& right_hand_side) const {
  return solve({matrix, right_hand_side});
}

std::string ConjugateGradient::describe() const {
  return fmt::format(
      "ConjugateGradient(max_iterations={}, tolerance={}, relative_progress={}, check_interval={}, "
      "snapshot_growth={})",
      max_iterations_, tolerance_, relative_progress_, check_interval_, snapshot_growth_);
}

std::shared_ptr<const Solver> ConjugateGradient::clone() const {
  check_settings(*this);
  return std::make_shared<ConjugateGradient>(*this);
}

}  // namespace natgrad
