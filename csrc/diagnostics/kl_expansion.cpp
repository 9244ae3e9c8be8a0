#include <fmt/format.h>
#include <natgrad/diagnostics/kl_expansion.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "curvature/divergence.h"
#include "diagnostics/metric_weights.h"
#include "diagnostics/probed_model.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kOutside = std::numeric_limits<double>::infinity();
// Third order, as measured at finite ε; and how near 1 a measured dᵀFd has to be to the claimed.
constexpr double kLeastSlope = 2.95, kSameSquare = 1e-3;
// Roundings of z, to which every pass through a layer adds; and how far above them a remainder
// tells.
constexpr double kLayers = 20, kClear = 100;
// How well a divergence, and its odd part, are known where the coefficients are read off them.
constexpr double kKnownSecond = 1e-4, kKnownThird = 1e-3;
// Roundings of tr F below which dᵀFd, of a unit vector d, is none.
constexpr double kVanishing = 100;

/// KL both ways at one displacement.
struct BothWays {
  double forward = kOutside, reverse = kOutside;
};

BothWays divergences_at(ProbedModel& model, const Tensor& d, FisherWeights weights) {
  BothWays kl;
  model.at(d, [&](const LossGraph& moved) {
    kl = {divergence(moved, model.graph(), weights), divergence(model.graph(), moved, weights)};
  });
  return kl;
}

/// Σ s zᵀF_R z for z with random signs: what rounding of z makes of a divergence, by its square.
double size_of_outputs(const LossGraph& graph, FisherWeights weights) {
  auto generator = make_generator(0);
  std::vector<Tensor> z(graph.outputs());
  for (const auto& term : graph.terms()) {
    const auto outputs = term.likelihood->outputs().detach().nan_to_num(0, 0, 0);
    z[term.output] = outputs * random_normal(outputs.sizes(), outputs.options(), generator);
  }
  return 2 * std::abs(half_metric(graph, z, weights));
}

/// Whether dᵀFd is rounding, for a unit vector d: against vᵀFv, which is tr F on average.
bool vanishes(double square, const LinearOperator& F) {
  auto generator = make_generator(1);
  const auto v = random_normal({F.size()}, F.options(), generator);
  const double trace = dot_in_double(v, F.multiply(v));
  return !(std::abs(square) > kVanishing * rounding_of(F.options()) * std::abs(trace));
}

/// What rounding of the outputs, of this square, makes of a divergence.
double rounding_of_divergence(double kl, double of_outputs, double unit) {
  return std::isfinite(kl) ? unit * (kl + std::sqrt(2 * kl * of_outputs)) + unit * unit * of_outputs
                           : 0;
}

/// Of a direction, on both sides of θ.
struct Samples {
  std::vector<double> ahead, back;  ///< at ε and -ε

  void add(double at, double at_minus) {
    ahead.push_back(at);
    back.push_back(at_minus);
  }
  double even(size_t i) const { return 0.5 * (ahead[i] + back[i]); }
  double odd(size_t i) const { return 0.5 * (ahead[i] - back[i]); }
  double rms(size_t i, double expected) const {
    return std::sqrt(0.5 * (std::pow(ahead[i] - expected, 2) + std::pow(back[i] - expected, 2)));
  }
};

/// f(0) of f(ε) = f(0) + O(ε²), from ε and ε/2.
double extrapolated(double at, double at_half) { return (4 * at_half - at) / 3; }

/// The order of the remainder and the coefficients, by the smallest ε that rounding leaves: the
/// smaller ε, the less is left out.
void measure_orders(KLDirection& result, const Samples& kl, const KLExpansionReport& report) {
  const auto& eps = report.epsilons;
  const auto second = [&](size_t i) {
    return kl.even(i) / (0.5 * eps[i] * eps[i] * report.square);
  };
  const auto third = [&](size_t i) { return kl.odd(i) / std::pow(eps[i], 3); };
  for (size_t i = 1; i < eps.size(); ++i) {
    const auto &before = result.remainder[i - 1], &after = result.remainder[i];
    if (!std::isfinite(before)) continue;
    const double rounding = report.rounding[i];
    if (after > kClear * rounding) result.slope = std::log2(before / after);
    if (rounding <= kKnownSecond * kl.even(i))
      result.second = extrapolated(second(i - 1), second(i));
    if (std::isnan(result.third) || rounding <= kKnownThird * std::abs(kl.odd(i))) {
      result.third = extrapolated(third(i - 1), third(i));
    }
  }
}

/// What the samples say of a claimed dᵀFd.
KLDirection judge(const Samples& kl, const KLExpansionReport& report) {
  KLDirection result{kl.ahead, {}, kUnknown, kUnknown, kUnknown, true, false};
  for (size_t i = 0; i < kl.ahead.size(); ++i) {
    const double claimed = 0.5 * std::pow(report.epsilons[i], 2) * report.square;
    const double remainder = kl.rms(i, claimed);
    result.remainder.push_back(remainder);
    const bool is_clear = std::isfinite(remainder) && remainder > kClear * report.rounding[i];
    result.is_exact = result.is_exact && !is_clear;
  }
  measure_orders(result, kl, report);
  const bool is_metric = report.square == 0 || std::abs(result.second - 1) <= kSameSquare;
  result.holds = result.is_exact || (result.slope >= kLeastSlope && is_metric);
  return result;
}

/// The direction with dᵀFd = 1, or of θ's length where F d = 0; what was done is noted.
Tensor scaled(const Tensor& direction, const LinearOperator& F, const ParameterLayout& layout,
              KLExpansionReport& report) {
  const Tensor given = direction.detach().to(layout.options());
  const double norm = norm_in_double(given);
  TORCH_CHECK_VALUE(
      given.sizes() == torch::IntArrayRef({layout.size()}) && std::isfinite(norm) && norm > 0,
      "natgrad: kl_expansion needs a direction of [", layout.size(),
      "] and finite length > 0, but got ", given.sizes(), " of length ", norm,
      ". Without one it takes ∇h, which is zero at a minimum.");
  const Tensor unit = given / norm;
  const double square = dot_in_double(unit, F.multiply(unit));
  const bool is_null = vanishes(square, F);
  const double scale =
      is_null ? std::max(norm_in_double(layout.values()), 1.) : 1 / std::sqrt(std::abs(square));
  report.length = scale / norm;
  report.square = is_null ? 0 : std::copysign(1, square);
  return scale * unit;
}

std::string text_of(const KLDirection& kl, const char* name) {
  if (kl.is_exact) return fmt::format("{} = ½ε²dᵀFd exactly, as far as rounding tells", name);
  return fmt::format("{} = {:.6g} ½ε²dᵀFd {:+.4g} ε³ + ..., remainder of order {:.3f}: {}", name,
                     kl.second, kl.third, kl.slope, kl.holds ? "holds" : "does not hold");
}

}  // namespace

void KLExpansionOptions::check() const {
  TORCH_CHECK_VALUE(largest_ > 0 && std::isfinite(largest_),
                    "natgrad: kl_expansion's largest ε is a finite number > 0, but is ", largest_,
                    ".");
  TORCH_CHECK_VALUE(halvings_ >= 2 && halvings_ <= 40,
                    "natgrad: kl_expansion halves ε 2 to 40 times, but was asked for ", halvings_,
                    ".");
}

KLExpansionReport kl_expansion(const std::vector<Tensor>& parameters,
                               const std::function<Tensor()>& loss, Tensor direction,
                               const Curvature& metric, const KLExpansionOptions& options) {
  options.check();
  ProbedModel model(parameters, loss);
  const auto& graph = model.graph();
  const auto weights = divergence_weights_of(metric);
  KLExpansionReport report;
  report.metric = metric.describe();
  const Tensor d = scaled(direction.defined() ? direction : graph.gradient(),
                          metric.at(graph).matrix, graph.parameters(), report);
  const double of_outputs = size_of_outputs(graph, weights);
  const double unit_rounding = kLayers * rounding_of(graph.parameters().options());
  Samples forward, reverse;
  double eps = options.largest();
  for (int64_t k = 0; k <= options.halvings(); ++k, eps /= 2) {
    report.epsilons.push_back(eps);
    const auto ahead = divergences_at(model, eps * d, weights);
    const auto back = divergences_at(model, -eps * d, weights);
    forward.add(ahead.forward, back.forward);
    reverse.add(ahead.reverse, back.reverse);
    const double kl = std::max(reverse.even(k), 0.5 * eps * eps * std::abs(report.square));
    report.rounding.push_back(rounding_of_divergence(kl, of_outputs, unit_rounding));
  }
  report.forward = judge(forward, report);
  report.reverse = judge(reverse, report);
  report.asymmetry = report.forward.third - report.reverse.third;
  report.holds = report.forward.holds && report.reverse.holds;
  return report;
}

std::string KLExpansionReport::message() const {
  auto text = fmt::format("KL divergence against ½ε²dᵀFd, F = {}{}: {}\n  {}\n  {}\n", metric,
                          square == 0 ? " (F d = 0)" : "", holds ? "holds" : "does not hold",
                          text_of(forward, "KL(θ+εd‖θ)"), text_of(reverse, "KL(θ‖θ+εd)"));
  text += "  ε           KL(θ+εd‖θ)    less ½ε²dᵀFd  KL(θ‖θ+εd)    less ½ε²dᵀFd\n";
  for (size_t i = 0; i < epsilons.size(); ++i) {
    text += fmt::format("  {:<10.4g}  {:<12.6g}  {:<12.4g}  {:<12.6g}  {:<12.4g}\n", epsilons[i],
                        forward.divergence[i], forward.remainder[i], reverse.divergence[i],
                        reverse.remainder[i]);
  }
  return text;
}

}  // namespace natgrad
