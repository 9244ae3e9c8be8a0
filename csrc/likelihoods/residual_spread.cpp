#include <fmt/format.h>
#include <natgrad/likelihoods/residual_spread.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "likelihoods/excess.h"

namespace natgrad {

using torch::Tensor;

ResidualSpread::ResidualSpread(Tensor z, By by) : Likelihood(std::move(z)), by_(by) {
  if (!is_log()) {
    check_domain(outputs().detach(), outputs().detach().le(0).logical_not(),
                 by_ == By::Variance ? "a variance is positive" : "a deviation is positive");
  }
}

std::string ResidualSpread::describe() const {
  const char* of = by_ == By::LogVariance || by_ == By::Variance ? "variance" : "deviation";
  return fmt::format("ResidualSpread({}{})", is_log() ? "log " : "", of);
}

void ResidualSpread::check_targets(const Tensor& y) const {
  check_same_shape(y);
  check_support(y, y.isfinite(), "a residual is finite");
}

Tensor ResidualSpread::slope() const {
  return power() * (is_log() ? torch::ones_like(outputs()) : outputs().reciprocal());
}

Tensor ResidualSpread::log_variance() const {
  return power() * (is_log() ? outputs() : outputs().log());
}

Tensor ResidualSpread::compute_log_prob(const Tensor& y) const {
  const auto log_v = log_variance();
  return -0.5 * (std::log(2 * M_PI) + log_v + (y * torch::exp(-0.5 * log_v)).square());
}

Tensor ResidualSpread::compute_score(const Tensor& y) const {
  return 0.5 * slope() * ((y * torch::exp(-0.5 * log_variance())).square() - 1);
}

Tensor ResidualSpread::fisher_multiply(const Tensor& v) const { return 0.5 * slope().square() * v; }

Tensor ResidualSpread::factor_multiply(const Tensor& r) const { return M_SQRT1_2 * slope() * r; }

Tensor ResidualSpread::fisher_solve(const Tensor& v) const { return 2 * v / slope().square(); }

// With y²/v = 2 score/slope + 1 and v' = v e^m: ½ (m + y²/v (e^-m - 1)).
std::optional<Likelihood::OutputChange> ResidualSpread::output_change(const Tensor& score,
                                                                      const Tensor& d) const {
  const auto relative = slope() * d;
  const auto squares = 2 * score / slope() + 1;
  const auto by = [&](const Tensor& move) { return 0.5 * (move + squares * torch::expm1(-move)); };
  if (is_log()) return OutputChange{by(relative), relative.abs()};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto share = relative / power();  // by which z grows
  const auto loss = torch::where(share > -1, by(power() * torch::log1p(share)), kInfinity);
  return OutputChange{loss, relative.abs()};  // ∞ at no variance
}

Tensor ResidualSpread::sample(std::optional<at::Generator> generator) const {
  const torch::NoGradGuard no_grad;
  return torch::exp(0.5 * log_variance()) *
         torch::empty_like(outputs()).normal_(0, 1, std::move(generator));
}

Tensor ResidualSpread::compute_kl(const Likelihood& other) const {
  const auto d = other.outputs() - outputs();
  if (by_ == By::Variance) return 0.5 * log_shortfall(-d / other.outputs());
  const auto move = power() * (is_log() ? d : torch::log1p(d / outputs()));  // of log v
  return 0.5 * exp_excess(-move);
}

}  // namespace natgrad
