#include <natgrad/likelihoods/exponential.h>
#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <torch/torch.h>

#include "fisher_ggn/densities.h"
#include "fisher_ggn/family_tables.h"

namespace examples {

using torch::Tensor;

namespace {

/// y > 0 of this mean, [N, 1].
Support positive_numbers(const Tensor& mean) { return half_line(torch::zeros_like(mean), mean); }

Tensor times_by_minus_rate(const Tensor& z, const Tensor& y) {
  return densities::exponential(-z, y);
}
Tensor times_by_log_rate(const Tensor& z, const Tensor& y) {
  return densities::exponential(z.exp(), y);
}
/// A shape of at least 1, a rate of at least 0.3.
Tensor shape_and_minus_rate(const Tensor& last_layer) {
  return torch::cat({above(1)(first_half(last_layer)), below(-0.3)(second_half(last_layer))}, 1);
}

}  // namespace

std::vector<Family> positive_families() {
  using namespace natgrad;
  constexpr auto kNatural = Outputs::Natural, kNotNatural = Outputs::NotNatural;
  const auto by_minus_rate = [](const Tensor& z) { return positive_numbers(-1 / z); };
  const auto by_log_rate = [](const Tensor& z) { return positive_numbers(torch::exp(-z)); };
  const auto by_ratio = [](const Tensor& z) {
    return positive_numbers(-first_half(z) / second_half(z));
  };
  return {
      {"Exponential", "-rate", kNatural, 1, of<Exponential>(), times_by_minus_rate, by_minus_rate,
       below(-0.1)},
      {"Gamma", "shape, -rate", kNatural, 2, of<Gamma>(), densities::gamma, by_ratio,
       shape_and_minus_rate},
      {"LogRateExponential", "log-rate", kNotNatural, 1, of<LogRateExponential>(),
       times_by_log_rate, by_log_rate, within(0, 2)},
  };
}

}  // namespace examples
