// Wampler's polynomials: the condition of [1, x, ..., x⁵], x to 20, is 5e6 (columns of length 1:
// 5e3), its square is what normal equations would have.

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "certified/regression.h"

namespace natgrad::testing::wampler_test {
namespace {

using certified::correct_digits;

// In double, of coefficients of 1 beside residuals of 2e3, 2e5 and 2e7: rounding times the
// condition times the residual over what the smallest coefficient contributes.
const std::vector<double> kDigits = {9, 9, 8, 7, 6};
constexpr double kDigitsOfErrors = 9;

TEST(WamplerTest, CoefficientsAreRightToWhatDoubleHolds) {
  const auto polynomials = certified::wampler_polynomials();
  for (size_t i = 0; i < polynomials.size(); ++i) {
    const auto& polynomial = polynomials[i];
    const auto fit = certified::fit(polynomial, polynomial.starts.front());
    EXPECT_TRUE(fit.minimum.converged) << polynomial.name << ": " << fit.minimum.message();
    EXPECT_GE(correct_digits(fit.parameters, polynomial.parameters), kDigits[i])
        << polynomial.name << ": " << fit.minimum.message();
  }
}

TEST(WamplerTest, StandardErrorsAreNists) {
  for (const auto& polynomial : certified::wampler_polynomials()) {
    if (!polynomial.standard_errors.defined()) continue;
    const auto fit = certified::fit(polynomial, polynomial.starts.front());
    ASSERT_TRUE(fit.minimum.standard_errors.defined()) << polynomial.name;
    EXPECT_GE(correct_digits(fit.minimum.standard_errors, polynomial.standard_errors),
              kDigitsOfErrors)
        << polynomial.name;
  }
}

}  // namespace
}  // namespace natgrad::testing::wampler_test
