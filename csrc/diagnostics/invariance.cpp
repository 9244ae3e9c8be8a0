#include <fmt/format.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/diagnostics/invariance.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "diagnostics/explicit_matrix.h"
#include "diagnostics/flow.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();
constexpr int kInvarianceProbes = 3;
// What counts as exact: rounding, times the condition numbers of C and J_g.
constexpr double kSameWay = 1e-6, kSameWayInFloat = 1e-3;
// Where differences are O(ε), halving it leaves 1/2 + O(ε) of them; where they stay, all.
constexpr double kLeastOrder = 0.7;
constexpr int kMostHalvings = 40;
// Of two evaluations of one closure.
constexpr double kSameLoss = 1e-6;

/// T: as it was told, or the first of 1, ½, ¼, ... over which Euler's steps follow both.
double time_for(Flow& theta, Flow& gamma, const InvarianceOptions& options) {
  if (options.time() > 0) return options.time();
  double time = 1;
  for (int k = 0; k < kMostHalvings; ++k, time /= 2) {
    if (theta.is_followed(time) && gamma.is_followed(time)) break;
  }
  return time;
}

/// The slope of log difference by log ε.
double fitted_order(const std::vector<InvarianceReport::Row>& rows) {
  double x = 0, y = 0, xx = 0, xy = 0;
  const auto n = static_cast<double>(rows.size());
  for (const auto& row : rows) {
    const double a = std::log(row.epsilon), b = std::log(row.difference);
    x += a, y += b, xx += a * a, xy += a * b;
  }
  return (n * xy - x * y) / (n * xx - x * x);
}

/// What of eq. 9, and of the gradient's change, does not hold.
void compare_at_start(InvarianceReport& report, const Reparametrisation& g, const Flow& theta,
                      const Flow& in_gamma) {
  const torch::NoGradGuard no_grad;
  const auto& gamma = in_gamma.gamma();
  report.gradient_change = relative_difference(
      g.multiply_jacobian_transposed(gamma, theta.gradient()).detach(), in_gamma.gradient());
  auto generator = make_generator(0);
  for (int k = 0; k < kInvarianceProbes; ++k) {
    const auto v = random_normal({gamma.numel()}, gamma.options(), generator);
    const auto Jv = g.multiply_jacobian(gamma, v).detach();
    const auto CJv = theta.C().mv(Jv.to(theta.C())).to(Jv);
    const auto changed = g.multiply_jacobian_transposed(gamma, CJv).detach();
    report.matrix_change =
        worst(report.matrix_change,
              relative_difference(in_gamma.C().mv(v.to(in_gamma.C())).to(v), changed));
  }
}

void check_same_loss(Flow& flow) {
  const torch::NoGradGuard no_grad;
  const double first = flow.loss().item<double>(), again = flow.loss().item<double>();
  TORCH_CHECK_VALUE(std::isfinite(first), "natgrad: the loss is ", first, " at the start.");
  TORCH_CHECK_VALUE(std::abs(first - again) <= kSameLoss * (1 + std::abs(first)),
                    "natgrad: the closure returned ", first, " and, called again, ", again,
                    ". It has to use the same data each time: draw the batch before, and put "
                    "batch normalisation into eval mode.");
}

void judge_invariance(InvarianceReport& report, bool in_double) {
  const auto& rows = report.rows;
  const double tolerance = in_double ? kSameWay : kSameWayInFloat;
  report.exact = std::all_of(rows.begin(), rows.end(),
                             [=](const auto& row) { return row.difference <= tolerance; });
  report.order = report.exact ? kNotANumber : fitted_order(rows);
  const bool falls = rows.back().difference < rows.front().difference;
  report.holds = report.exact || (!report.is_affine && falls && report.order >= kLeastOrder);
}

}  // namespace

InvarianceOptions::InvarianceOptions() : curvature_(FisherOrGaussNewton().clone()) {}

InvarianceOptions& InvarianceOptions::curvature(const Curvature& curvature) {
  curvature_ = curvature.clone();
  return *this;
}

void InvarianceOptions::check() const {
  TORCH_CHECK_VALUE(time_ >= 0 && std::isfinite(time_),
                    "natgrad: a path takes a finite time >= 0, but got ", time_, ".");
  TORCH_CHECK_VALUE(cutoff_ > 0 && cutoff_ < 1, "natgrad: cutoff lies in (0, 1), but got ", cutoff_,
                    ".");
  const bool rises =
      std::adjacent_find(steps_.begin(), steps_.end(), std::greater_equal<>()) == steps_.end();
  TORCH_CHECK_VALUE(steps_.size() >= 2 && steps_.front() >= 1 && rises,
                    "natgrad: steps are two or more numbers of steps, fewest first, as {10, 20, "
                    "40}.");
}

InvarianceReport invariance_check(const std::vector<Tensor>& parameters,
                                  const std::function<Tensor()>& loss, const Reparametrisation& g,
                                  const InvarianceOptions& options) {
  options.check();
  InvarianceReport report;
  report.curvature = options.curvature().describe();
  report.reparametrisation = g.describe();
  report.is_affine = g.is_affine();
  LossOfParameters h(parameters, loss);
  report.size = h.theta().numel();
  check_fits_matrix(report.size, "invariance_check",
                    "Take invariance_of_steps, whose solvers need products only.");
  Flow theta(h, nullptr, options), gamma(h, &g, options);
  check_same_loss(theta);
  TORCH_CHECK_VALUE(norm_in_double(theta.gradient()) > 0,
                    "natgrad: the gradient is zero: there is no way to follow from here.");
  const Spectrum spectrum(theta.C(), options.cutoff());
  report.rank = spectrum.rank();
  report.condition = spectrum.condition();
  report.by_outputs = !theta.start().distributions.empty();
  compare_at_start(report, g, theta, gamma);
  report.time = time_for(theta, gamma, options);
  for (const auto steps : options.steps()) {
    const auto a = theta.after(report.time, steps), b = gamma.after(report.time, steps);
    report.rows.push_back({report.time / static_cast<double>(steps),
                           a.distance_from(b) / a.distance_from(theta.start()),
                           a.parameters_from(b) / a.parameters_from(theta.start())});
  }
  judge_invariance(report, h.theta().scalar_type() == torch::kDouble);
  return report;
}

std::string InvarianceReport::message() const {
  auto text = fmt::format("{} under θ = {}: {}\n", curvature, reparametrisation,
                          exact   ? "the same way, to rounding"
                          : holds ? fmt::format("the ways meet as ε^{:.2f}", order)
                                  : fmt::format("the ways stay apart (order {:.2f})", order));
  text += fmt::format("  C_γ against J_gᵀC_θJ_g: {:.1e}; ∇h: {:.1e}; C of rank {} of {}\n",
                      matrix_change, gradient_change, rank, size);
  for (const auto& row : rows) {
    text += fmt::format("  ε = {:<8.3g} apart by {:.3e} of the way{}\n", row.epsilon,
                        row.difference, by_outputs ? ", in distribution" : "");
  }
  if (std::isnan(rows.back().difference)) {
    text += "  a way left the numbers: take a shorter time.\n";
  }
  if (!holds && rank < size) {
    text += fmt::format(
        "  C is singular ({} of {}): its least solution depends on the parameters.\n", rank, size);
  }
  return text;
}

}  // namespace natgrad
