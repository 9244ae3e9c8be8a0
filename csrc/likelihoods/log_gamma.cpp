#include <natgrad/likelihoods/log_gamma.h>
#include <torch/torch.h>

#include <array>
#include <numbers>

namespace natgrad {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

// B₂, B₄, ...
constexpr std::array kBernoulli = {1. / 6, -1. / 30, 1. / 42, -1. / 30, 5. / 66};

// From here on the series' next term is below 3e-14 of the excess, and below the direct difference
// loses at most that.
constexpr double kStirlingFrom = 16;

/// Σ_k B₂ₖ coefficient(2k) x^(-2k).
template <class Coefficient>
Tensor asymptotic(const Tensor& x, Coefficient coefficient) {
  const auto step = x.square().reciprocal();
  auto sum = torch::zeros_like(x);
  for (auto k = kBernoulli.size(); k >= 1; --k) {
    sum = (sum + kBernoulli[k - 1] * coefficient(2.0 * static_cast<double>(k))) * step;
  }
  return sum;
}

/// The series for large x, else the difference, in double and back.
template <class Direct, class Series>
Tensor evaluate(const Tensor& t, Direct direct, Series series) {
  const auto x = t.to(torch::kDouble);
  const auto value = torch::where(x < kStirlingFrom, direct(x.clamp_max(kStirlingFrom)),
                                  series(x.clamp_min(kStirlingFrom)));
  return value.to(t.scalar_type());
}

struct DigammaExcess : torch::autograd::Function<DigammaExcess> {
  static Tensor forward(AutogradContext* context, const Tensor& t) {
    context->save_for_backward({t});
    return evaluate(
        t, [](const Tensor& x) { return torch::digamma(x) - x.log(); },
        [](const Tensor& x) { return -0.5 / x - asymptotic(x, [](double n) { return 1 / n; }); });
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {gradients[0] * trigamma_excess(context->get_saved_variables()[0])};
  }
};

struct LogGammaExcess : torch::autograd::Function<LogGammaExcess> {
  static Tensor forward(AutogradContext* context, const Tensor& t) {
    context->save_for_backward({t});
    return evaluate(
        t, [](const Tensor& x) { return torch::lgamma(x) - torch::xlogy(x, x) + x; },
        [](const Tensor& x) {
          return 0.5 * torch::log(2 * std::numbers::pi / x) +
                 x * asymptotic(x, [](double n) { return 1 / (n * (n - 1)); });
        });
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {gradients[0] * digamma_excess(context->get_saved_variables()[0])};
  }
};

}  // namespace

Tensor log_gamma(const Tensor& t) {
  const auto x = t.to(torch::kDouble);
  return (log_gamma_excess(x) + x * x.log() - x).to(t.scalar_type());
}

Tensor log_gamma_excess(const Tensor& x) { return LogGammaExcess::apply(x); }

Tensor digamma_excess(const Tensor& x) { return DigammaExcess::apply(x); }

// ψ₁(x) is Hurwitz' ζ(2, x).
Tensor trigamma_excess(const Tensor& t) {
  return evaluate(
      t,
      [](const Tensor& x) {
        return torch::special_zeta(torch::full({}, 2, x.options()), x) - x.reciprocal();
      },
      [](const Tensor& x) {
        return 0.5 / x.square() + asymptotic(x, [](double) { return 1; }) / x;
      });
}

}  // namespace natgrad
