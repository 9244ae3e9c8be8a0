#include <fmt/format.h>
#include <natgrad/linalg/random.h>
#include <natgrad/variational/natural_gradient_vi.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

namespace natgrad {

using torch::Tensor;

namespace {

/// What a step arrives at; `precision` decides whether it may.
struct Arrival {
  Tensor mean, precision;
  double share = 1;  // of μ's way
};

Arrival natural_step(const MeanFieldGaussian& q, const Expectations& f, double rate) {
  const auto precision = (1 - rate) / q.variance() - rate * f.hessian_diagonal;
  // Of λ₁ = μ/σ² too, but without the digits that μ/σ² costs.
  return {q.mean() + rate * f.gradient / precision, precision};
}

/// `rate` is that of μ, `precision_rate` that of σ⁻².
Arrival retracted_step(const MeanFieldGaussian& q, const Expectations& f, double rate,
                       double precision_rate) {
  const auto x = -precision_rate * (q.variance() * f.hessian_diagonal + 1);
  // In this form it cannot round to zero: ½ (1 + (1 + x)²).
  const auto precision = (0.5 + 0.5 * (1 + x).square()) / q.variance();
  const auto move = rate * f.gradient / precision;
  // In standard deviations, root mean square over the coordinates. Where the log-joint saturates
  // its curvature says nothing, and far moves lead on to where it says less.
  const double length = (move.square() * precision).mean().sqrt().item<double>();
  const double share = length > 1 ? 1 / length : 1;
  return {q.mean() + share * move, precision, share};
}

Arrival mean_log_std_step(const MeanFieldGaussian& q, const Expectations& f, double rate) {
  const auto variance = q.variance();
  const auto log_std =
      q.standard_deviation().log() + 0.5 * rate * (1 + variance * f.hessian_diagonal);
  return {q.mean() + rate * variance * f.gradient, (-2 * log_std).exp()};
}

Arrival arrival_of(VariationalForm form, const MeanFieldGaussian& q, const Expectations& f,
                   double rate, double precision_rate) {
  switch (form) {
    case VariationalForm::Natural:
      return natural_step(q, f, rate);
    case VariationalForm::Retracted:
      return retracted_step(q, f, rate, precision_rate);
    case VariationalForm::MeanLogStd:
      break;
  }
  return mean_log_std_step(q, f, rate);
}

bool all_finite(const Tensor& t) { return t.isfinite().all().item<bool>(); }

/// sup {ε : (1 - ε) σ⁻² - ε E_q[∂²log p] > 0}.
double largest_rate(const MeanFieldGaussian& q, const Expectations& f) {
  const auto ratio = 1 + q.variance() * f.hessian_diagonal;
  const double steepest = ratio.max().item<double>();
  return steepest > 0 ? 1 / steepest : std::numeric_limits<double>::infinity();
}

void check(const NaturalGradientVIOptions& options) {
  const bool natural = options.form() != VariationalForm::MeanLogStd;
  TORCH_CHECK(options.memory_doubling() > 0,
              "natgrad: the memory of the precisions doubles after T/rate steps, T > 0 (infinity: "
              "never), but T is ",
              options.memory_doubling(), ".");
  TORCH_CHECK(
      options.rate() > 0 && std::isfinite(options.rate()) && (!natural || options.rate() <= 1),
      "natgrad: the rate of natural-gradient variational inference lies in (0, 1] in "
      "natural parameters and is finite and > 0 in (mean, log std), but is ",
      options.rate(), ".");
  TORCH_CHECK(options.pairs() >= 0,
              "natgrad: the number of pairs of samples is >= 0 (0: cubature), but is ",
              options.pairs(), ".");
}

}  // namespace

NaturalGradientVI::NaturalGradientVI(LogJoint log_joint, MeanFieldGaussian initial,
                                     NaturalGradientVIOptions options)
    : log_joint_(std::move(log_joint)), q_(std::move(initial)), options_(options) {
  TORCH_CHECK(log_joint_ != nullptr,
              "natgrad: variational inference needs a log-joint, a function from points [S, d] to "
              "log p of [S].");
  check(options_);
}

void NaturalGradientVI::set_rate(double rate) {
  auto options = options_;
  check(options.rate(rate));
  options_ = options;
}

Expectations NaturalGradientVI::expectations() const {
  if (options_.pairs() == 0) return expectations_by_cubature(log_joint_, q_);
  return expectations_by_sampling(log_joint_, q_, options_.pairs(),
                                  make_generator(options_.seed(), static_cast<uint64_t>(steps_)));
}

double NaturalGradientVI::precision_rate() const {
  const double rate = options_.rate();
  if (options_.pairs() == 0) return rate;
  return rate / (1 + rate * static_cast<double>(steps_) / options_.memory_doubling());
}

const VariationalSummary& NaturalGradientVI::step() {
  const torch::NoGradGuard no_grad;
  const auto f = expectations();
  const bool natural = options_.form() == VariationalForm::Natural;
  const auto to = arrival_of(options_.form(), q_, f, options_.rate(), precision_rate());
  VariationalSummary report;
  report.expected_log_joint = f.value.item<double>();
  report.elbo = report.expected_log_joint + q_.entropy().item<double>();
  report.shortening = to.share;
  if (natural) report.largest_rate = largest_rate(q_, f);
  const auto valid = to.precision.gt(0);
  const auto sigma = to.precision.rsqrt();
  if (!std::isfinite(report.elbo) || !all_finite(f.gradient) || !all_finite(to.precision)) {
    report.outcome = VariationalOutcome::NonFinite;
  } else if (natural && !valid.all().item<bool>()) {
    report.outcome = VariationalOutcome::InvalidPrecision;
    report.coordinate = valid.logical_not().nonzero()[0].item<int64_t>();
  } else if (!all_finite(to.mean) || !all_finite(sigma) || !sigma.gt(0).all().item<bool>()) {
    report.outcome = VariationalOutcome::NonFinite;
  } else {
    q_ = MeanFieldGaussian(to.mean, sigma);
    ++steps_;
  }
  return summary_ = report;
}

std::string VariationalSummary::message() const {
  switch (outcome) {
    case VariationalOutcome::Accepted:
      return fmt::format("accepted; ELBO {:g}", elbo);
    case VariationalOutcome::InvalidPrecision:
      return fmt::format(
          "refused: the precision of coordinate {} would not be positive, as the log-joint is "
          "convex there, or the samples are few; take a rate below {:g} with set_rate, or "
          "VariationalForm::Retracted, which keeps precisions positive",
          coordinate, largest_rate);
    case VariationalOutcome::NonFinite:
      return "refused: the log-joint, its gradient or the new q is not finite; start from a "
             "narrower q where the log-joint is finite, or take a smaller rate";
  }
  return "";
}

}  // namespace natgrad
