// The divergence's expansion (Martens, "New perspectives", section 6) to the coefficient, for
// families of one natural parameter: KL(θ + d ‖ θ) = ½ F d² + k₃ d³/3 + ..., KL(θ ‖ θ + d) = ½ F d²
// + k₃ d³/6 +
// ..., k₃ the third cumulant. So the two differ in third order, by k₃ d³/6.

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/poisson.h>

#include "support/quadrature.h"
#include "theory/small_network.h"

namespace natgrad::testing::divergence_coefficients_test {
namespace {

struct NaturalFamily {
  std::string name;
  std::function<std::shared_ptr<const Likelihood>(const Tensor& z)> at;
  std::function<Support(const Tensor& z)> support;
  std::function<double(double z)> third_cumulant;
};

std::ostream& operator<<(std::ostream& out, const NaturalFamily& family) {
  return out << family.name;
}

const std::vector<NaturalFamily> kNaturalFamilies = {
    {"Poisson", [](auto& z) { return std::make_shared<Poisson>(z); }, enumerate_counts,
     [](double z) { return std::exp(z); }},
    {"Bernoulli", [](auto& z) { return std::make_shared<Bernoulli>(z); }, enumerate_binary,
     [](double z) {
       const double p = 1 / (1 + std::exp(-z));
       return p * (1 - p) * (1 - 2 * p);
     }},
};

struct NaturalParameter : ::testing::TestWithParam<NaturalFamily> {
  static constexpr double kZ = 0.6;

  static Tensor at(double z) { return torch::full({1}, z, torch::kDouble); }
  /// Σ_y r(y|a)(log r(y|a) - log r(y|b)).
  static double divergence(double a, double b) {
    double sum = 0;
    for (const auto& y : GetParam().support(at(kZ + 0.5)).points) {
      const auto log_a = GetParam().at(at(a))->log_prob(y);
      sum += number(log_a.exp() * (log_a - GetParam().at(at(b))->log_prob(y)));
    }
    return sum;
  }
  /// The coefficient of d³ of an even-order-free difference, extrapolated to d → 0.
  template <class Divergence>
  static double third_order(Divergence kl) {
    const auto odd = [&](double d) { return (kl(d) - kl(-d)) / (2 * d * d * d); };
    constexpr double kStep = 0.04;
    return (4 * odd(kStep / 2) - odd(kStep)) / 3;
  }
};

TEST_P(NaturalParameter, ThirdOrderTermsAreTheThirdCumulants) {
  constexpr double kExtrapolation = 2e-6;  // of order d⁴
  const double k3 = GetParam().third_cumulant(kZ);
  const double forward = third_order([](double d) { return divergence(kZ + d, kZ); });
  const double reverse = third_order([](double d) { return divergence(kZ, kZ + d); });
  EXPECT_NEAR(forward / k3, 1. / 3, kExtrapolation);
  EXPECT_NEAR(reverse / k3, 1. / 6, kExtrapolation);
}

TEST_P(NaturalParameter, SecondOrderTermIsTheFisherMatrix) {
  const auto z = at(kZ).requires_grad_();
  const auto loss = nll(GetParam().at(z), torch::ones({1}, torch::kDouble));
  const auto even = [](double d) {
    return (divergence(kZ + d, kZ) + divergence(kZ - d, kZ)) / (d * d);
  };
  constexpr double kStep = 0.02, kExtrapolation = 1e-6;
  const double second = (4 * even(kStep / 2) - even(kStep)) / 3;
  EXPECT_NEAR(second / number(fisher_of(loss, {z})), 1, kExtrapolation);
}

INSTANTIATE_TEST_SUITE_P(Families, NaturalParameter, ::testing::ValuesIn(kNaturalFamilies),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::divergence_coefficients_test
