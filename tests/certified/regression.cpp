#include "certified/regression.h"

#include <natgrad/optim/presets.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace certified {

double correct_digits(const Tensor& found, const Tensor& certified) {
  constexpr double kCertified = 11;
  const auto error = ((found - certified) / certified).abs().max().item<double>();
  return error > 0 ? std::clamp(-std::log10(error), 0., kCertified)
                   : (error == 0 ? kCertified : 0.);
}

Fit fit(const Regression& regression, const Tensor& start, int64_t max_steps) {
  const auto begin = std::chrono::steady_clock::now();
  const auto b = start.clone().requires_grad_();
  natgrad::NaturalGradient optimizer({b}, natgrad::presets::least_squares());
  const auto loss = [&] {
    const auto r = regression.residuals(b);
    return torch::mse_loss(r, torch::zeros_like(r), at::Reduction::Sum);
  };
  Fit fit;
  fit.minimum = natgrad::minimise(optimizer, loss, natgrad::Convergence().max_steps(max_steps));
  fit.parameters = b.detach();
  fit.sum_of_squares = fit.minimum.loss;
  fit.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return fit;
}

bool has_known_sum(const Regression& regression, double sum_of_squares) {
  constexpr double kSixDigits = 1e-6, kZero = 1e-20;
  const auto is = [&](double known) {
    return known == 0 ? sum_of_squares <= kZero
                      : std::abs(sum_of_squares - known) <= kSixDigits * known;
  };
  const auto& others = regression.local_sums;
  return is(regression.sum_of_squares) || std::any_of(others.begin(), others.end(), is);
}

}  // namespace certified
