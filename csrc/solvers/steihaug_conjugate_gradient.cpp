#include <fmt/format.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "solvers/linear_system.h"
#include "solvers/scalars.h"

namespace natgrad {
namespace {

using torch::Tensor;

/// t ≥ 0 with ‖x + t p‖ = radius, given ‖x‖ ≤ radius, ‖p‖ and xᵀp in one inner product; in the form
/// of the root that does not cancel.
double distance_to_boundary(double radius, double x_norm, double p_norm, double xp) {
  const double along = xp / p_norm;
  const double square = std::max(radius - x_norm, 0.0) * (radius + x_norm);
  if (square == 0) return std::max(-2 * along, 0.0) / p_norm;
  const double root = std::sqrt(along * along + square);
  return (along > 0 ? square / (along + root) : root - along) / p_norm;
}

/// Δ: the system's radius, or the options' own where the system has none.
double radius_of(const SteihaugConjugateGradient& options, const LinearSystem& system) {
  return std::isfinite(system.radius) ? system.radius : options.radius();
}

/// The iteration for the system divided by the size of b.
class TruncatedIteration {
 public:
  TruncatedIteration(const SteihaugConjugateGradient& options, const LinearSystem& system,
                     double scale)
      : options_(options),
        A_(system.matrix),
        M_(system.preconditioner),
        radius_(radius_of(options, system) / scale),
        b_(system.right_hand_side / scale),
        x_(torch::zeros_like(b_)),
        r_(b_.clone()),
        Mx_(M_ ? torch::zeros_like(b_) : x_),
        epsilon_(rounding_of(b_.options())),
        b_norm_(norm_in_double(b_)),
        threshold_(std::max(options.tolerance(), kProductRounding * epsilon_) * b_norm_) {}

  TrustRegionSolution run() {
    start();
    while (!stopped_) {
      if (norm_in_double(r_) <= threshold_) {
        confirm();
      } else if (summary_.iterations == options_.max_iterations()) {
        stop(Termination::IterationLimit);
      } else {
        iterate();
      }
    }
    summary_.residual = norm_in_double(r_);
    summary_.right_hand_side = b_norm_;
    const double length = std::sqrt(HostScalars::dot(x_, Mx_));
    return {{x_, summary_}, on_boundary_, length};
  }

 private:
  /// p = z = M b, and M⁻¹p = b.
  void start() {
    p_ = precondition().clone();
    Mp_ = M_ ? r_.clone() : p_;
  }

  void iterate() {
    const Tensor Ap = multiply(p_);
    const double pAp = HostScalars::dot(p_, Ap);
    if (!std::isfinite(pAp)) return stop(Termination::NonFinite);
    ++summary_.iterations;
    const double p_norm = std::sqrt(HostScalars::dot(p_, Mp_));
    const double reach = distance_to_boundary(radius_, std::sqrt(HostScalars::dot(x_, Mx_)), p_norm,
                                              HostScalars::dot(x_, Mp_));
    const double rayleigh = pAp / p_norm / p_norm;
    largest_rayleigh_ = std::max(largest_rayleigh_, std::abs(rayleigh));
    const double alpha = rz_ / pAp;
    if (pAp <= 0 || alpha >= reach) {
      advance(reach, Ap, pAp);
      on_boundary_ = true;
      return stop(is_negative(rayleigh) ? Termination::NegativeCurvature : Termination::Boundary);
    }
    advance(alpha, Ap, pAp);
    turn();
  }

  /// x += t p; φ changes by -t rᵀp + ½ t² pᵀAp, and rᵀp = rᵀz.
  void advance(double t, const Tensor& Ap, double pAp) {
    x_.add_(p_, t);
    if (M_) Mx_.add_(Mp_, t);
    r_.sub_(Ap, t);
    summary_.quadratic += t * (0.5 * t * pAp - rz_);
  }

  /// p ← z + (r'ᵀz' / rᵀz) p.
  void turn() {
    const double before = rz_;
    const Tensor z = precondition();
    p_.mul_(rz_ / before).add_(z);
    if (M_) Mp_.mul_(rz_ / before).add_(r_);
  }

  /// z = M r and rᵀz.
  Tensor precondition() {
    const Tensor z = M_ ? M_->multiply(r_) : r_;
    rz_ = HostScalars::dot(r_, z);
    if (M_ && norm_in_double(r_) > 0) check_preconditioned(rz_);
    return z;
  }

  Tensor multiply(const Tensor& v) {
    ++summary_.products;
    return A_.multiply(v);
  }

  /// The recurrence says that the residual is small: only the residual itself is believed. Where
  /// rounding has parted them, going on from x would leave the path on which the norms grow.
  void confirm() {
    r_ = b_ - multiply(x_);
    const double residual = norm_in_double(r_);
    if (!std::isfinite(residual)) return stop(Termination::NonFinite);
    stop(residual <= threshold_ ? Termination::Converged : Termination::Breakdown);
  }

  /// Curvature along a direction below zero by more than rounding.
  bool is_negative(double rayleigh) const {
    return rayleigh < -kProductRounding * epsilon_ * largest_rayleigh_;
  }

  void stop(Termination termination) {
    summary_.termination = termination;
    stopped_ = true;
  }

  const SteihaugConjugateGradient& options_;
  const LinearOperator& A_;
  const std::optional<LinearOperator>& M_;
  double radius_;
  Tensor b_, x_, r_, p_;
  Tensor Mx_, Mp_;  // M⁻¹x and M⁻¹p; without M, x and p themselves
  double epsilon_, b_norm_, threshold_;
  double rz_ = 0, largest_rayleigh_ = 0;
  bool stopped_ = false, on_boundary_ = false;
  SolverSummary summary_;
};

void check_settings(const SteihaugConjugateGradient& options) {
  TORCH_CHECK(options.radius() > 0 && std::isfinite(options.radius()),
              "natgrad: SteihaugConjugateGradient's radius is a finite number > 0, but is ",
              options.radius(), ".");
  TORCH_CHECK(options.max_iterations() >= 1,
              "natgrad: SteihaugConjugateGradient needs max_iterations >= 1, but got ",
              options.max_iterations(), ".");
  TORCH_CHECK(options.tolerance() >= 0 && options.tolerance() < 1,
              "natgrad: SteihaugConjugateGradient's tolerance lies in [0, 1), but is ",
              options.tolerance(), ".");
}

void check_radius(double radius) {
  TORCH_CHECK(radius > 0,
              "natgrad: the radius of a linear system is > 0, and infinite for none, but is ",
              radius, ".");
}

}  // namespace

TrustRegionSolution SteihaugConjugateGradient::solve_in_region(const LinearSystem& system) const {
  torch::NoGradGuard no_grad;
  check_settings(*this);
  check_sizes(system);
  check_radius(system.radius);
  if (auto known = solution_without_products(system)) return {*known, false, 0};
  const double scale = largest_entry(system.right_hand_side);
  auto solution = TruncatedIteration(*this, system, scale).run();
  solution.x.mul_(scale);
  solution.norm *= scale;
  solution.summary.residual *= scale;
  solution.summary.right_hand_side *= scale;
  solution.summary.quadratic *= scale * scale;
  return solution;
}

Solution SteihaugConjugateGradient::solve(const LinearSystem& system) const {
  return solve_in_region(system);
}

std::string SteihaugConjugateGradient::describe() const {
  return fmt::format("SteihaugConjugateGradient(radius={}, max_iterations={}, tolerance={})",
                     radius_, max_iterations_, tolerance_);
}

std::shared_ptr<const Solver> SteihaugConjugateGradient::clone() const {
  check_settings(*this);
  return std::make_shared<SteihaugConjugateGradient>(*this);
}

}  // namespace natgrad
