// NIST's 27 nonlinear regressions from both starts, by `presets::least_squares()` as it is.

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "certified/regression.h"

namespace natgrad::testing::nist_test {
namespace {

using certified::correct_digits;

// Mondragon & Borchers (2005) call a problem solved at four.
constexpr double kSolved = 4, kAverage = 10;
// The residuals of Lanczos1 are 1e-13, rounding of data that are printed to 14 digits, and so are
// its standard errors, which are made of them.
constexpr double kOfErrors = 4, kOfLanczos1 = 1;

// Sums are certified to 11 digits; those of Lanczos2 lose some to parameters of as many.
constexpr double kOfSum = 1e-6;

struct Ends {
  double digits = 0, digits_of_errors = 0;
  natgrad::Minimum minimum;
};

Ends ends_of(const certified::Regression& regression, size_t start) {
  const auto fit = certified::fit(regression, regression.starts[start], /*max_steps=*/3000);
  const auto& errors = fit.minimum.standard_errors;
  return {correct_digits(fit.parameters, regression.parameters),
          errors.defined() ? correct_digits(errors, regression.standard_errors) : 0, fit.minimum};
}

TEST(NistTest, AllRegressionsFromBothStartsEndAtTheCertifiedParameters) {
  const auto regressions = certified::nist_regressions();
  ASSERT_EQ(regressions.size(), 27);
  double sum = 0;
  for (const auto& regression : regressions) {
    for (size_t start = 0; start < 2; ++start) {
      const auto [digits, digits_of_errors, minimum] = ends_of(regression, start);
      const auto where = regression.name + ", start " + std::to_string(start + 1) + ": " +
                         minimum.message() + ", correct " + std::to_string(digits);
      EXPECT_GE(digits, kSolved) << where;
      EXPECT_TRUE(minimum.converged) << where;
      EXPECT_GE(digits_of_errors, regression.name == "Lanczos1" ? kOfLanczos1 : kOfErrors) << where;
      sum += digits;
    }
  }
  EXPECT_GE(sum / 54, kAverage);
}

TEST(NistTest, TheCertifiedSumsOfSquaresAreThoseOfTheCertifiedParameters) {
  for (const auto& regression : certified::nist_regressions()) {
    // Parameters of 11 digits leave the sum of Lanczos1, 1e-25, none.
    if (regression.name == "Lanczos1") continue;
    const auto sum = regression.residuals(regression.parameters).square().sum().item<double>();
    EXPECT_NEAR(sum / regression.sum_of_squares, 1, kOfSum) << regression.name;
  }
}

}  // namespace
}  // namespace natgrad::testing::nist_test
