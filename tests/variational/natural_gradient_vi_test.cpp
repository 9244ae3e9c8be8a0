#include <natgrad/variational/natural_gradient_vi.h>

#include <numbers>

#include "support/dense_oracles.h"
#include "support/quadrature.h"

namespace natgrad::testing::natural_gradient_vi_test {
namespace {

// One step is a few operations on numbers of order one in double, after a cubature.
constexpr double kRounding = 1e-12;

/// log N(θ; m, Λ⁻¹).
struct GaussianTarget {
  Tensor m, precision;

  Tensor log_z() const {
    const auto d = static_cast<double>(m.numel());
    return 0.5 * torch::logdet(precision) - 0.5 * d * std::log(2 * std::numbers::pi);
  }
  LogJoint log_joint() const {
    return [*this](const Tensor& theta) {
      const auto error = theta - m;
      return log_z() - 0.5 * error.mm(precision).mul(error).sum(1);
    };
  }
  /// In closed form, with the graph to μ and σ².
  Tensor elbo(const Tensor& mu, const Tensor& variance) const {
    const auto error = mu - m;
    const auto energy = 0.5 * (error.dot(precision.mv(error)) + precision.diagonal().dot(variance));
    const auto d = static_cast<double>(m.numel());
    return log_z() - energy + 0.5 * variance.log().sum() +
           0.5 * d * std::log(2 * std::numbers::pi * std::numbers::e);
  }
};

GaussianTarget a_target() { return {randn({4}, 911), random_spd(4, 20, 912)}; }
MeanFieldGaussian a_start(int64_t d = 4) {
  return {randn({d}, 913), (0.3 * randn({d}, 914)).exp()};
}

/// Off-diagonal elements c of Λ, ones on the diagonal: I - D⁻¹Λ has the radius 2c for d = 3.
GaussianTarget equicorrelated(double c) {
  const auto eye = torch::eye(3, torch::kDouble);
  return {randn({3}, 915), (1 - c) * eye + c * torch::ones({3, 3}, torch::kDouble)};
}

NaturalGradientVIOptions with_rate(double rate) { return NaturalGradientVIOptions().rate(rate); }

// ---- A Gaussian target. ----

TEST(NaturalGradientVITest, AFullStepFindsTheVarianceAndIsJacobisIteration) {
  const auto target = a_target();
  const auto diagonal = target.precision.diagonal();
  NaturalGradientVI vi(target.log_joint(), a_start(), with_rate(1));
  auto mu = a_start().mean();
  for (int k = 0; k < 3; ++k) {
    ASSERT_EQ(vi.step().outcome, VariationalOutcome::Accepted);
    const auto off_diagonal = target.precision - torch::diag(diagonal);
    mu = (target.precision.mv(target.m) - off_diagonal.mv(mu)) / diagonal;
    EXPECT_LT(relative_error(vi.q().variance(), 1 / diagonal), kRounding);
    EXPECT_LT(relative_error(vi.q().mean(), mu), kRounding);
  }
}

TEST(NaturalGradientVITest, FullStepsDivergeAsTheSpectralRadiusSaysAndHalfStepsConverge) {
  const auto ones = torch::ones({3}, torch::kDouble);
  for (const double c : {0.3, 0.45, 0.8}) {
    const auto target = equicorrelated(c);
    NaturalGradientVI full(target.log_joint(), {target.m + ones, ones}, with_rate(1));
    for (int k = 1; k <= 10; ++k) {
      full.step();
      EXPECT_LT(relative_error(full.q().mean() - target.m, std::pow(-2 * c, k) * ones),
                10 * kRounding / std::pow(std::min(1., 2 * c), k));
    }
  }
  const auto target = equicorrelated(0.8);
  NaturalGradientVI half(target.log_joint(), {target.m + randn({3}, 916), ones}, with_rate(0.5));
  for (int k = 0; k < 300; ++k) half.step();  // the slowest factor is 1 - 0.5 (1 - c) = 0.9
  EXPECT_LT(relative_error(half.q().mean(), target.m), kRounding);
  EXPECT_LT(relative_error(half.q().variance(), ones), kRounding);
}

TEST(NaturalGradientVITest, AStepIsTheNaturalGradientOfTheElboInItsOwnParameters) {
  constexpr double kRate = 0.3;
  const auto target = a_target();
  const auto q = a_start();
  const auto ascend = [&](const Tensor& parameters, const LinearOperator& F, auto&& elbo) {
    const auto p = parameters.clone().requires_grad_(true);
    const auto gradient = gradient_of(elbo(p.narrow(0, 0, 4), p.narrow(0, 4, 4)), {p});
    return (parameters + kRate * torch::linalg_solve(dense(F), gradient)).split(4);
  };
  {
    const auto to = ascend(torch::cat({q.lambda_1(), q.lambda_2()}), q.fisher_natural(),
                           [&](const Tensor& first, const Tensor& second) {
                             const auto variance = -0.5 / second;
                             return target.elbo(first * variance, variance);
                           });
    NaturalGradientVI vi(target.log_joint(), q, with_rate(kRate));
    vi.step();
    EXPECT_LT(relative_error(vi.q().lambda_1(), to[0]), kRounding);
    EXPECT_LT(relative_error(vi.q().lambda_2(), to[1]), kRounding);
  }
  {
    const auto to = ascend(torch::cat({q.mean(), q.standard_deviation().log()}),
                           q.fisher_mean_log_std(), [&](const Tensor& mu, const Tensor& log_std) {
                             return target.elbo(mu, (2 * log_std).exp());
                           });
    NaturalGradientVI vi(target.log_joint(), q, with_rate(kRate).form(VariationalForm::MeanLogStd));
    vi.step();
    EXPECT_LT(relative_error(vi.q().mean(), to[0]), kRounding);
    EXPECT_LT(relative_error(vi.q().standard_deviation().log(), to[1]), kRounding);
  }
}

TEST(NaturalGradientVITest, ReportsTheElboWhichBoundsTheEvidenceAndRises) {
  const auto target = a_target();
  for (const auto form : {VariationalForm::Natural, VariationalForm::MeanLogStd}) {
    NaturalGradientVI vi(target.log_joint(), a_start(), with_rate(0.1).form(form));
    double previous = -INFINITY;
    for (int k = 0; k < 20; ++k) {
      const auto before = vi.q();
      const auto& summary = vi.step();
      const double expected = target.elbo(before.mean(), before.variance()).item<double>();
      EXPECT_NEAR(summary.elbo, expected, kRounding * std::abs(expected));
      EXPECT_GT(summary.elbo, previous);
      EXPECT_LT(summary.elbo, 0);  // log 1, as the target is normalised
      previous = summary.elbo;
    }
  }
}

TEST(NaturalGradientVITest, OfIndependentCoordinatesOneFullStepIsTheTargetItself) {
  const GaussianTarget target{randn({4}, 917), torch::diag(randn({4}, 918).exp())};
  NaturalGradientVI vi(target.log_joint(), a_start(), with_rate(1));
  vi.step();
  EXPECT_LT(relative_error(vi.q().mean(), target.m), kRounding);
  EXPECT_NEAR(vi.step().elbo, 0, kRounding);  // the evidence
}

TEST(NaturalGradientVITest, BothFormsArriveAtTheSameQ) {
  const GaussianTarget target{randn({4}, 919), random_spd(4, 4, 920)};
  for (const auto form : {VariationalForm::Natural, VariationalForm::MeanLogStd}) {
    NaturalGradientVI vi(target.log_joint(), a_start(), with_rate(0.4).form(form));
    for (int k = 0; k < 200; ++k) vi.step();
    EXPECT_LT(relative_error(vi.q().mean(), target.m), kRounding);
    EXPECT_LT(relative_error(vi.q().variance(), 1 / target.precision.diagonal()), kRounding);
  }
}

// ---- Another target: three successes of a coin of logit θ ~ N(0, 1). ----

Tensor coin(const Tensor& theta) {
  return (3 * torch::log_sigmoid(theta) - 0.5 * theta.square()).sum(1);
}

TEST(NaturalGradientVITest, SampledStepsSettleWhereTheElboIsStationary) {
  NaturalGradientVI vi(coin, {torch::zeros({1}, torch::kDouble), torch::ones({1}, torch::kDouble)},
                       with_rate(0.3).pairs(4000));
  for (int k = 0; k < 40; ++k) ASSERT_EQ(vi.step().outcome, VariationalOutcome::Accepted);
  // E_q[∂ log p] = 0 and -σ² E_q[∂² log p] = 1, by Gauss-Hermite quadrature.
  const auto rule = gauss_hermite(40);
  double slope = 0, curvature = 0;
  for (size_t k = 0; k < rule.nodes.size(); ++k) {
    const auto theta =
        (vi.q().mean() + std::numbers::sqrt2 * vi.q().standard_deviation() * rule.nodes[k])
            .unsqueeze(0)
            .requires_grad_(true);
    const double weight = rule.weights[k] / std::sqrt(std::numbers::pi);
    slope += weight * gradient_of(coin(theta).sum(), {theta}).item<double>();
    curvature += weight * hessian(coin(theta).sum(), {theta}).item<double>();
  }
  constexpr double kSampling = 0.02;  // a few times 1/√(2 · 4000), averaged over 1/0.3 steps
  EXPECT_NEAR(slope, 0, kSampling);
  EXPECT_NEAR(-vi.q().variance().item<double>() * curvature, 1, kSampling);
}

TEST(NaturalGradientVITest, SampledRunsRepeatForASeed) {
  const auto mean_after = [](uint64_t seed) {
    NaturalGradientVI vi(coin, a_start(2), NaturalGradientVIOptions().pairs(3).seed(seed));
    for (int k = 0; k < 5; ++k) vi.step();
    return vi.q().mean();
  };
  EXPECT_TRUE(identical(mean_after(1), mean_after(1)));
  EXPECT_FALSE(identical(mean_after(1), mean_after(2)));
}

// ---- Refusals. ----

/// Concave in the first coordinate, convex in the second: λ₂ < 0 cannot hold there for good.
Tensor saddle(const Tensor& theta) {
  return -0.5 * theta.select(1, 0).square() + 2 * theta.select(1, 1).square();
}

TEST(NaturalGradientVITest, APrecisionThatIsNotPositiveIsRefused) {
  // σ⁻² = 4 ← (1 - ε) 4 - 4 ε: zero at ε = ½.
  const MeanFieldGaussian q(randn({2}, 921), torch::full({2}, 0.5, torch::kDouble));
  for (const double rate : {1., 0.5 + 1e-9}) {
    NaturalGradientVI vi(saddle, q, with_rate(rate));
    const auto& summary = vi.step();
    EXPECT_EQ(summary.outcome, VariationalOutcome::InvalidPrecision);
    EXPECT_EQ(summary.coordinate, 1);
    EXPECT_NEAR(summary.largest_rate, 0.5, kRounding);
    EXPECT_NE(summary.message().find("coordinate 1"), std::string::npos) << summary.message();
    EXPECT_NE(summary.message().find("below 0.5"), std::string::npos) << summary.message();
    EXPECT_TRUE(identical(vi.q().mean(), q.mean()));
    EXPECT_TRUE(identical(vi.q().standard_deviation(), q.standard_deviation()));
    EXPECT_EQ(vi.steps(), 0);
    vi.set_rate(0.5 - 1e-9);
    EXPECT_EQ(vi.step().outcome, VariationalOutcome::Accepted);
    EXPECT_EQ(vi.steps(), 1);
  }
}

TEST(NaturalGradientVITest, RetractedNoPrecisionIsInvalid) {
  const MeanFieldGaussian q(randn({2}, 922), torch::full({2}, 0.5, torch::kDouble));
  for (const double rate : {0.1, 0.5, 1.}) {
    NaturalGradientVI vi(saddle, q, with_rate(rate).form(VariationalForm::Retracted));
    EXPECT_EQ(vi.step().outcome, VariationalOutcome::Accepted);
    // ∂² = -1 and 4.
    const auto x = rate * torch::tensor({0.25 - 1, -1. - 1}, torch::kDouble);
    EXPECT_LT(relative_error(vi.q().variance(), 0.25 / (1 + x + 0.5 * x.square())), kRounding);
  }
}

TEST(NaturalGradientVITest, RetractedIsTheNaturalStepToFirstOrderAndHasItsFixedPoint) {
  const auto target = a_target();
  const auto apart = [&](double rate) {
    NaturalGradientVI natural(target.log_joint(), a_start(), with_rate(rate)),
        retracted(target.log_joint(), a_start(), with_rate(rate).form(VariationalForm::Retracted));
    natural.step();
    EXPECT_EQ(retracted.step().shortening, 1);
    return torch::cat({natural.q().mean() - retracted.q().mean(),
                       natural.q().variance() - retracted.q().variance()})
        .norm()
        .item<double>();
  };
  EXPECT_NEAR(std::log2(apart(0.01) / apart(0.005)), 2, 0.05);
  NaturalGradientVI vi(target.log_joint(), a_start(),
                       with_rate(0.4).form(VariationalForm::Retracted));
  for (int k = 0; k < 500; ++k) vi.step();
  EXPECT_LT(relative_error(vi.q().mean(), target.m), 20 * kRounding);  // Λ's condition
  EXPECT_LT(relative_error(vi.q().variance(), 1 / target.precision.diagonal()), kRounding);
}

TEST(NaturalGradientVITest, RetractedGoesOneDeviationACoordinateAtMost) {
  // From 1000 of the target's deviations away.
  const GaussianTarget target{torch::full({4}, 1000., torch::kDouble),
                              torch::eye(4, torch::kDouble)};
  const MeanFieldGaussian q(torch::zeros({4}, torch::kDouble), torch::ones({4}, torch::kDouble));
  NaturalGradientVI vi(target.log_joint(), q, with_rate(0.1).form(VariationalForm::Retracted));
  EXPECT_NEAR(vi.step().shortening, 0.01, kRounding);  // of 0.1 · 1000
  EXPECT_LT(relative_error(vi.q().mean(), torch::ones({4}, torch::kDouble)), kRounding);
}

TEST(NaturalGradientVITest, RetractedPrecisionsRememberLongerTheMoreSamplesWereSeen) {
  // log p = -θ²/2 + 3θ: pairs tell the slope exactly, and E_q[∂²] ε² on average; the second step's
  // precision moves by x at the rate ε/(1 + ε/T).
  const LogJoint quadratic = [](const Tensor& theta) {
    return (3 * theta - 0.5 * theta.square()).sum(1);
  };
  const auto one = torch::ones({1}, torch::kDouble);
  const auto second = [&](double T) {
    NaturalGradientVI vi(
        quadratic, {3 * one, 2 * one},
        with_rate(0.5).pairs(1).memory_doubling(T).form(VariationalForm::Retracted));
    vi.step();
    const double before = vi.q().variance().item<double>();
    vi.step();
    return before / vi.q().variance().item<double>();  // 1 + x + ½x²
  };
  const auto x = [&](double T) { return -1 + std::sqrt(2 * second(T) - 1); };
  EXPECT_NEAR(x(0.5) / x(INFINITY), 0.5, kRounding);
  EXPECT_NEAR(x(2) / x(INFINITY), 0.8, kRounding);
}

TEST(NaturalGradientVITest, InMeanAndLogStdNoPrecisionIsInvalid) {
  const MeanFieldGaussian q(randn({2}, 922), torch::full({2}, 0.5, torch::kDouble));
  NaturalGradientVI vi(saddle, q, with_rate(1).form(VariationalForm::MeanLogStd));
  EXPECT_EQ(vi.step().outcome, VariationalOutcome::Accepted);
  // log σ + ½ (1 + σ² ∂²).
  EXPECT_LT(relative_error(vi.q().standard_deviation(),
                           0.5 * (torch::tensor({0.375, 1.0}, torch::kDouble)).exp()),
            kRounding);
}

TEST(NaturalGradientVITest, ARefusedStepDrawsNothing) {
  const auto run = [](bool with_fault) {
    bool fail = false;
    const auto log_joint = [&](const Tensor& theta) {
      return fail ? coin(theta) / 0.0 : coin(theta);
    };
    NaturalGradientVI vi(log_joint, a_start(2), with_rate(0.1).pairs(3));
    vi.step();
    fail = with_fault;
    if (with_fault) {
      EXPECT_EQ(vi.step().outcome, VariationalOutcome::NonFinite);
    }
    fail = false;
    vi.step();
    return vi.q().mean();
  };
  EXPECT_TRUE(identical(run(true), run(false)));
}

TEST(NaturalGradientVITest, WhatIsNotFiniteIsRefused) {
  const MeanFieldGaussian q(torch::zeros({1}, torch::kDouble), torch::ones({1}, torch::kDouble));
  const auto refuses = [&](const LogJoint& log_joint, const NaturalGradientVIOptions& options) {
    NaturalGradientVI vi(log_joint, q, options);
    EXPECT_EQ(vi.step().outcome, VariationalOutcome::NonFinite);
    EXPECT_NE(vi.summary().message().find("finite"), std::string::npos);
    EXPECT_TRUE(identical(vi.q().mean(), q.mean()));
  };
  refuses([](const Tensor& theta) { return theta.log().sum(1); }, {});
  refuses([](const Tensor& theta) { return -(theta.abs() - 1).abs().sqrt().sum(1); }, {});
  // Finite everywhere, but σ would be 0 or infinite.
  for (const double curvature : {-1e4, 1e4}) {
    refuses([=](const Tensor& theta) { return (0.5 * curvature * theta.square()).sum(1); },
            with_rate(1).form(VariationalForm::MeanLogStd));
  }
}

TEST(NaturalGradientVITest, WorksInFloat32) {
  constexpr double kRoundingFloat = 1e-5;
  const GaussianTarget target{a_target().m.to(torch::kFloat),
                              a_target().precision.to(torch::kFloat)};
  const auto start = MeanFieldGaussian(torch::zeros({4}), torch::ones({4}));
  NaturalGradientVI vi(target.log_joint(), start, with_rate(1));
  vi.step();
  EXPECT_EQ(vi.q().mean().scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(vi.q().variance(), 1 / a_target().precision.diagonal()), kRoundingFloat);
}

// The points μ ± σ are rounded; the variance must not take that for the target's.
TEST(NaturalGradientVITest, InFloat32FarFromTheOriginFindsTheVariance) {
  for (const double mean : {1e3, 1e5}) {
    const double sigma = mean * 1e-6;
    const LogJoint log_joint = [&](const Tensor& theta) {
      return -0.5 * ((theta - mean) / sigma).square().sum(1);
    };
    const auto one = torch::ones({1}, torch::kFloat);
    NaturalGradientVI inference(log_joint, {mean * one, 0.8 * sigma * one},
                                NaturalGradientVIOptions().rate(1));
    inference.step();
    EXPECT_LT(relative_error(inference.q().standard_deviation(), sigma * one), 1e-4) << mean;
  }
}

TEST(NaturalGradientVITest, OptionsOutOfRangeThrow) {
  const auto make = [](const NaturalGradientVIOptions& options) {
    return [options] { NaturalGradientVI(coin, a_start(), options); };
  };
  for (const double rate : {0., -0.1, 1.01, std::nan("")}) {
    expect_error(make(with_rate(rate)), "(0, 1]");
  }
  expect_error(make(with_rate(INFINITY).form(VariationalForm::MeanLogStd)), "finite");
  expect_error(make(with_rate(1.5).form(VariationalForm::Retracted)), "(0, 1]");
  expect_error(make(NaturalGradientVIOptions().memory_doubling(0)), "memory");
  expect_error(make(NaturalGradientVIOptions().pairs(-1)), "pairs");
  expect_error([] { NaturalGradientVI(nullptr, a_start()); }, "log-joint");
  NaturalGradientVI vi(coin, a_start());
  expect_error([&] { vi.set_rate(2); }, "(0, 1]");
}

}  // namespace
}  // namespace natgrad::testing::natural_gradient_vi_test
