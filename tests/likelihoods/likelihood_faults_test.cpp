#include <natgrad/likelihoods/likelihood.h>

#include "support/likelihood_families.h"

// Every family at outputs up to ±1e4 in both precisions, and every family's refusals.

namespace natgrad::testing::likelihood_faults_test {
namespace {

class LikelihoodFaults : public ::testing::TestWithParam<LikelihoodCase> {
 protected:
  const std::shared_ptr<Likelihood> likelihood_ = GetParam().make();
  const Tensor y_ = GetParam().support().points.front();

  /// Large values of both signs, zeros and ties, as far as the family takes them.
  Tensor extreme_outputs(torch::ScalarType dtype, int64_t rotation) const {
    const auto& like = GetParam().outputs;
    const auto values = torch::tensor({1e4, -1e4, 0.0, 1e4, 88.0, -300.0, 17.0, -1e4}, dtype);
    const auto index =
        (torch::arange(like.numel(), torch::kLong) + rotation).remainder(values.numel());
    return GetParam().family.domain(values.index_select(0, index).view(like.sizes()));
  }

  void expect_refused(const Tensor& y, std::string_view needle) const {
    expect_error([&] { likelihood_->check_targets(y); }, needle);
    expect_error([&] { likelihood_->log_prob(y); }, needle);
    expect_error([&] { likelihood_->score(y); }, needle);
  }
};

TEST_P(LikelihoodFaults, OutputsUpTo1e4StayFinite) {
  const auto& shape = GetParam().outputs;
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    for (int64_t rotation = 0; rotation < 8; ++rotation) {
      const auto z = extreme_outputs(dtype, rotation).requires_grad_();
      const auto likelihood = GetParam().family.make(z);
      const auto v = randn(shape.sizes(), 3).to(dtype);
      const auto product = likelihood->fisher_multiply(v);
      EXPECT_TRUE(all_finite(product) && all_finite(likelihood->fisher_solve(product)));
      EXPECT_TRUE(all_finite(likelihood->factor_multiply(v)));
      const auto support = GetParam().family.support(shape.to(dtype)).points;
      for (const auto& y : {support.front(), support.back(), likelihood->sample(seeded(1))}) {
        const auto log_prob = likelihood->log_prob(y);
        const auto gradient = torch::autograd::grad({log_prob.sum()}, {z}, {}, true, true)[0];
        const auto hessian_product =
            torch::autograd::grad({(gradient * v).sum()}, {z}, {}, true)[0];
        EXPECT_TRUE(all_finite(log_prob) && all_finite(likelihood->score(y)));
        EXPECT_TRUE(all_finite(gradient) && all_finite(hessian_product));
      }
    }
  }
}

TEST_P(LikelihoodFaults, ASampleAtExtremeOutputsIsNeverImpossible) {
  constexpr double kImpossible = -1e3;  // log r: such a y is drawn once in e¹⁰⁰⁰ trials
  const auto z = extreme_outputs(torch::kFloat, 1);
  const auto likelihood = GetParam().family.make(z);
  const auto generator = seeded(2);
  for (int i = 0; i < 100; ++i) {
    const auto log_prob = likelihood->log_prob(likelihood->sample(generator));
    EXPECT_GT(log_prob.min().item<double>(), kImpossible);
  }
}

TEST_P(LikelihoodFaults, OtherShapesThrow) {
  expect_refused(y_.unsqueeze(-1), "shape");
  expect_refused(y_.unsqueeze(0), "shape");
  expect_refused(torch::cat({y_.reshape(-1), y_.reshape(-1)}), "shape");
}

TEST_P(LikelihoodFaults, UndefinedTargetsThrow) { expect_refused(Tensor(), "undefined"); }

TEST_P(LikelihoodFaults, TargetsOnAnotherDeviceThrow) {
  expect_refused(y_.to(torch::kMeta), "meta");
}

TEST_P(LikelihoodFaults, TargetsOfAnotherKindThrow) {
  if (!GetParam().family.integer_targets) expect_refused(y_.to(torch::kInt), "int");
  expect_refused(y_.to(torch::kBool), "bool");
  expect_refused(y_.to(torch::kComplexDouble), "omplex");
}

// A float64 target must not turn a float32 network's score into float64 behind its back.
TEST_P(LikelihoodFaults, FloatingTargetsOfAnotherPrecisionThrowOrAreConverted) {
  const auto narrow = GetParam().family.make(GetParam().outputs.to(torch::kFloat));
  try {
    EXPECT_EQ(narrow->score(y_).scalar_type(), torch::kFloat);
    EXPECT_EQ(narrow->log_prob(y_).scalar_type(), torch::kFloat);
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("double"), std::string::npos) << error.what();
  }
}

TEST_P(LikelihoodFaults, UnusableOutputsThrow) {
  expect_error([&] { GetParam().family.make(Tensor()); }, "outputs");
  expect_error([&] { GetParam().family.make(GetParam().outputs.to(torch::kLong)); }, "outputs");
  expect_error([&] { GetParam().family.make(GetParam().outputs.to(torch::kComplexDouble)); },
               "outputs");
}

INSTANTIATE_TEST_SUITE_P(Families, LikelihoodFaults, ::testing::ValuesIn(likelihood_cases()),
                         likelihood_case_name);

TEST(CheckSupportTest, PassesWhereEverythingIsValid) {
  const auto y = randn({2, 3}, 1);
  EXPECT_NO_THROW(check_support(y, torch::ones_like(y, torch::kBool), "anything goes"));
  EXPECT_NO_THROW(check_support(randn({0}, 1), torch::ones({0}, torch::kBool), "nothing there"));
}

TEST(CheckSupportTest, NamesTheFirstOffenderByPositionAndValue) {
  const auto y = torch::tensor({{1.0, 2.0, -7.5}, {-3.0, 5.0, 6.0}}, torch::kDouble);
  expect_error([&] { check_support(y, y.ge(0), "must be positive"); }, "must be positive");
  expect_error([&] { check_support(y, y.ge(0), "must be positive"); }, "y[0, 2] = -7.5");
  expect_error([&] { check_support(y.t(), y.t().ge(0), "must be positive"); }, "y[0, 1] = -3");
}

TEST(CheckSupportTest, NamesTheValueOfAScalar) {
  const auto y = torch::tensor(-2.5, torch::kDouble);
  expect_error([&] { check_support(y, y.ge(0), "must be positive"); }, "= -2.5");
}

}  // namespace
}  // namespace natgrad::testing::likelihood_faults_test
