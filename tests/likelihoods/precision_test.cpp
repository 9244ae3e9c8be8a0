#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <natgrad/likelihoods/multinomial.h>
#include <natgrad/likelihoods/natural_negative_binomial.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/likelihoods/student_t.h>

#include "support/oracles.h"

// float32 outputs and targets, at sizes where sums in float32 would lose all digits, against the
// same numbers in float64.

namespace natgrad::testing::precision_test {
namespace {

// log r and a score in units of its own standard deviation, stored in float32: nats.
constexpr double kStored = 1e-4;

/// The same family at float32 outputs, and at these outputs in float64.
template <class Make>
double log_prob_error(Make make, const Tensor& outputs) {
  const auto narrow = outputs.to(torch::kFloat), wide = narrow.to(torch::kDouble);
  const auto y = make(narrow)->sample(seeded(1));
  const auto expected = make(wide)->log_prob(y.to(torch::kDouble));
  return (make(narrow)->log_prob(y).to(torch::kDouble) - expected)
      .abs()
      .max()
      .template item<double>();
}

TEST(PrecisionTest, MultinomialsOfManyTrials) {
  for (const int64_t count : {1 << 16, 1 << 20, 1 << 24}) {
    const auto make = [&](const Tensor& z) { return std::make_shared<Multinomial>(z, count); };
    EXPECT_LT(log_prob_error(make, randn({50, 5}, 1)), kStored) << count;
  }
}

TEST(PrecisionTest, NegativeBinomialsOfManyFailures) {
  const auto logits = [](const Tensor& z) { return std::make_shared<NegativeBinomial>(z, 1e6); };
  EXPECT_LT(log_prob_error(logits, randn({50}, 2)), kStored);
  const auto natural = [](const Tensor& z) {
    return std::make_shared<NaturalNegativeBinomial>(z, 1e6);
  };
  EXPECT_LT(log_prob_error(natural, -randn({50}, 3).abs() - 0.1), kStored);
}

TEST(PrecisionTest, GammasOfLargeShape) {
  for (const double shape : {1e4, 1e6, 1e8}) {
    const auto z = torch::cat({torch::full({50, 1}, shape), torch::full({50, 1}, -shape / 3)}, 1);
    const auto narrow = z.to(torch::kFloat), wide = narrow.to(torch::kDouble);
    const auto y = Gamma(narrow).sample(seeded(4));
    const auto error =
        Gamma(narrow).score(y).to(torch::kDouble) - Gamma(wide).score(y.to(torch::kDouble));
    // The first score's standard deviation is √ψ1(α), nearly α^-½.
    const auto in_deviations = error.select(1, 0).abs().max().item<double>() * std::sqrt(shape);
    EXPECT_LT(in_deviations, kStored) << shape;
  }
}

TEST(PrecisionTest, CauchysFarOut) {
  // -log π - log(1 + d²), which is -log π - 2 log d out there.
  for (const double d : {1e3, 1e5, 1e12, 3e19, 1e37}) {
    const auto z = torch::zeros({1}, torch::kFloat), y = torch::full({1}, d, torch::kFloat);
    const double expected = -std::log(M_PI) - 2 * std::log(d);
    EXPECT_NEAR(Cauchy(z).log_prob(y).item<double>(), expected, kStored) << d;
    EXPECT_NEAR(Cauchy(z).score(y).item<double>() * d, 2, kStored) << d;
  }
  const auto y = torch::full({1}, 1e160, torch::kDouble);
  const double expected = -std::log(M_PI) - 2 * 160 * std::log(10.);
  EXPECT_NEAR(Cauchy(torch::zeros_like(y)).log_prob(y).item<double>(), expected, 1e-10);
}

TEST(PrecisionTest, RatesBeyondTheRangeOfTheirExponential) {
  const auto z = torch::full({2}, 95, torch::kFloat);  // e⁹⁵ is beyond float32
  const auto y = torch::tensor({0., 1e-41}).to(torch::kFloat);
  const auto log_r = LogRateExponential(z).log_prob(y).to(torch::kDouble);
  const auto expected = 95 - y.to(torch::kDouble) * std::exp(95.);
  EXPECT_LT((log_r - expected).abs().max().item<double>(), kStored);
  const auto slow = torch::full({100}, -95, torch::kFloat);  // waiting times beyond it
  const LogRateExponential likelihood(slow);
  EXPECT_NO_THROW(likelihood.check_targets(likelihood.sample(seeded(5))));
}

}  // namespace
}  // namespace natgrad::testing::precision_test
