#include <natgrad/likelihoods/likelihood.h>

#include "support/likelihood_families.h"

// Every family's sampling: from the given generator, and from the distribution that `score` and
// `fisher_multiply` speak of.

namespace natgrad::testing::likelihood_sampling_test {
namespace {

// A mean over draws lies beyond this many of its standard deviations once in 1.7 million trials;
// the seeds are fixed, so that a pass stays a pass.
constexpr double kDeviations = 5;
// Sums of a few thousand numbers of order one.
constexpr double kRounding = 1e-12;

class LikelihoodSampling : public ::testing::TestWithParam<LikelihoodCase> {
 protected:
  const std::shared_ptr<Likelihood> likelihood_ = GetParam().make();

  std::vector<Tensor> draws(uint64_t seed, int count) const {
    const auto generator = seeded(seed);
    std::vector<Tensor> result;
    for (int i = 0; i < count; ++i) result.push_back(likelihood_->sample(generator));
    return result;
  }
};

TEST_P(LikelihoodSampling, SamplesAreValidTargets) {
  const auto like = GetParam().support().points.front();
  for (const auto& y : draws(1, 20)) {
    EXPECT_EQ(y.sizes(), like.sizes());
    EXPECT_EQ(y.scalar_type(), like.scalar_type());
    EXPECT_NO_THROW(likelihood_->check_targets(y));
    EXPECT_TRUE(all_finite(likelihood_->log_prob(y)));
  }
}

TEST_P(LikelihoodSampling, SamplesRepeatWithTheSeed) {
  EXPECT_TRUE(identical(torch::stack(draws(7, 50)), torch::stack(draws(7, 50))));
  EXPECT_FALSE(identical(torch::stack(draws(7, 50)), torch::stack(draws(8, 50))));
}

TEST_P(LikelihoodSampling, AGivenGeneratorAdvancesAndTheDefaultOneDoesNot) {
  const auto own = seeded(7);
  const auto own_before = own.get_state();
  const auto global_before = at::detail::getDefaultCPUGenerator().get_state();
  likelihood_->sample(own);
  EXPECT_TRUE(identical(at::detail::getDefaultCPUGenerator().get_state(), global_before));
  EXPECT_FALSE(identical(own.get_state(), own_before));
}

TEST_P(LikelihoodSampling, WithoutAGeneratorTheDefaultOneIsUsed) {
  const auto draw = [&] {
    torch::manual_seed(11);
    std::vector<Tensor> result;
    for (int i = 0; i < 50; ++i) result.push_back(likelihood_->sample());
    return torch::stack(result);
  };
  const auto first = draw();
  EXPECT_TRUE(identical(draw(), first));
}

TEST_P(LikelihoodSampling, SamplesCarryNoGradient) {
  const auto z = GetParam().outputs.clone().requires_grad_();
  EXPECT_FALSE(GetParam().family.make(z)->sample(seeded(1)).requires_grad());
}

// E[score] = 0 and E[score²] = diag F_R under the model, hence under its samples.
TEST_P(LikelihoodSampling, ScoresOfSamplesHaveMeanZeroAndVarianceFisher) {
  constexpr int kDraws = 2000;
  std::vector<Tensor> scores;
  for (const auto& y : draws(3, kDraws)) scores.push_back(likelihood_->score(y).reshape(-1));
  const auto s = torch::stack(scores);
  const auto expect_mean = [](const Tensor& samples, const Tensor& expected) {
    const auto sd = samples.std(0) / std::sqrt(kDraws);
    const auto allowed = kDeviations * sd + kRounding * (1 + expected);  // some scores are ±1
    EXPECT_TRUE((samples.mean(0) - expected).abs().lt(allowed).all().item<bool>());
  };
  std::vector<Tensor> variance;
  for (int64_t i = 0; i < s.size(1); ++i) {
    const auto basis = torch::zeros({s.size(1)}, torch::kDouble);
    basis[i] = 1;
    const auto column = likelihood_->fisher_multiply(basis.view(GetParam().outputs.sizes()));
    variance.push_back(column.reshape(-1)[i]);
  }
  expect_mean(s, torch::zeros({s.size(1)}, torch::kDouble));
  expect_mean(s.square(), torch::stack(variance));
}

// Neither the observations of one draw nor those of two in a row may correlate.
TEST_P(LikelihoodSampling, ObservationsAndDrawsAreIndependent) {
  constexpr int kPairs = 2000;
  const auto& z = GetParam().outputs;
  // Bounded: a Cauchy's draws have no correlation.
  const auto y = torch::stack(draws(5, 2 * kPairs)).to(torch::kDouble).atan();
  const auto point = GetParam().support().points.front();
  const auto like = likelihood_->log_prob(point);
  const auto number = torch::arange(like.numel(), torch::kLong).view(like.sizes());
  const auto of = likelihood_->align(number).expand_as(z).reshape(-1);
  // One number per observation: the outputs of one observation may correlate, and counts of classes
  // have one sum.
  const auto weighted = y.reshape({2 * kPairs, -1}) * randn({point.numel()}, 6);
  const auto sums =
      point.sizes() == z.sizes()
          ? torch::zeros({2 * kPairs, like.numel()}, torch::kDouble).index_add(1, of, weighted)
          : weighted.view({2 * kPairs, like.numel(), -1}).sum(-1);
  const auto pairs = sums.view({kPairs, 2 * like.numel()});
  const auto correlation = torch::corrcoef(pairs.t());
  const auto others = correlation - torch::diag(torch::diag(correlation));
  EXPECT_LT(others.abs().max().item<double>(), kDeviations / std::sqrt(kPairs));
}

INSTANTIATE_TEST_SUITE_P(Families, LikelihoodSampling, ::testing::ValuesIn(likelihood_cases()),
                         likelihood_case_name);

}  // namespace
}  // namespace natgrad::testing::likelihood_sampling_test
