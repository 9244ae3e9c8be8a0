// Logistic regression on Bliss's beetles (1935; McCullagh & Nelder, section 4.3): eight doses of
// carbon disulphide, by their log10, and how many of the beetles were killed. For a linear model
// with natural parameters a natural-gradient step is Newton's and iteratively reweighted least
// squares'.

#include <natgrad/curvature/fisher.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/losses.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::beetle_test {
namespace {

namespace F = torch::nn::functional;
using Reduction = at::Reduction::Reduction;

// The certified intercept and slope, and the accuracy asked for.
constexpr double kIntercept = -60.7174545616354, kSlope = 34.2703257341470, kCertified = 1e-9;
constexpr int kSteps = 30;  // Newton's method needs about eight

Tensor column(std::vector<double> numbers) {
  return torch::tensor(numbers, torch::kDouble).unsqueeze(1);
}
Tensor doses() { return column({1.6907, 1.7242, 1.7552, 1.7842, 1.8113, 1.8369, 1.8610, 1.8839}); }
Tensor counts() { return column({59, 60, 62, 56, 63, 59, 62, 60}); }
Tensor killed() { return column({6, 13, 18, 28, 52, 53, 61, 60}); }

/// One row for each beetle: its dose, and whether it was killed.
std::pair<Tensor, Tensor> beetles() {
  const auto n = counts().to(torch::kLong).squeeze(1), k = killed().to(torch::kLong).squeeze(1);
  std::vector<Tensor> y;
  for (int64_t i = 0; i < 8; ++i) {
    const auto total = n[i].item<int64_t>(), dead = k[i].item<int64_t>();
    y.push_back(torch::cat({torch::ones({dead, 1}), torch::zeros({total - dead, 1})}));
  }
  return {doses().repeat_interleave(n, 0), torch::cat(y).to(torch::kDouble)};
}

struct Formulation {
  std::string name;
  std::function<Tensor(const Tensor& intercept, const Tensor& slope)> loss;
};

std::ostream& operator<<(std::ostream& out, const Formulation& f) { return out << f.name; }

const std::vector<Formulation> kFormulations = {
    {"WeightedProportions",
     [](auto& a, auto& b) {
       const auto options =
           F::BinaryCrossEntropyWithLogitsFuncOptions().weight(counts()).reduction(torch::kSum);
       return F::binary_cross_entropy_with_logits(a + b * doses(), killed() / counts(), options);
     }},
    {"EachBeetle",
     [](auto& a, auto& b) {
       const auto [x, y] = beetles();
       return F::binary_cross_entropy_with_logits(a + b * x, y);
     }},
    {"NllOfCounts",
     [](auto& a, auto& b) {
       const Bernoulli family(a + b * doses());
       return (counts() * nll(family, killed() / counts(), Reduction::None)).sum();
     }},
    {"TwoClasses",
     [](auto& a, auto& b) {
       const auto [x, y] = beetles();
       const auto z = a + b * x;
       const auto logits = torch::cat({torch::zeros_like(z), z}, 1);
       return nll(Categorical(logits), y.squeeze(1).to(torch::kLong));
     }},
    {"OwnLoss",
     [](auto& a, auto& b) {
       const auto z = outputs(a + b * doses());
       return (counts() * (1 + z.exp()).log() - killed() * z).sum();
     }},
};

struct Beetle : ::testing::TestWithParam<Formulation> {
  Tensor intercept = torch::zeros({}, torch::kDouble).requires_grad_();
  Tensor slope = torch::zeros({}, torch::kDouble).requires_grad_();

  void fit(const NaturalGradientOptions& options) {
    NaturalGradient optimizer({intercept, slope}, options);
    for (int k = 0; k < kSteps; ++k) optimizer.step(GetParam().loss(intercept, slope));
    EXPECT_NEAR(intercept.item<double>(), kIntercept, kCertified * -kIntercept);
    EXPECT_NEAR(slope.item<double>(), kSlope, kCertified * kSlope);
  }
};

TEST_P(Beetle, ReachesTheCertifiedCoefficients) {
  fit(NaturalGradientOptions(1).damping(Tikhonov(0)).solver(tight_solver()));
}

INSTANTIATE_TEST_SUITE_P(Formulations, Beetle, ::testing::ValuesIn(kFormulations), ByName());

struct BeetleByFisherScoring : Beetle {};

TEST_P(BeetleByFisherScoring, ReachesTheCertifiedCoefficients) {
  fit(NaturalGradientOptions(1).damping(Tikhonov(0)).solver(tight_solver()).curvature(Fisher()));
}

// The last one is the user's own loss, without a likelihood.
INSTANTIATE_TEST_SUITE_P(Formulations, BeetleByFisherScoring,
                         ::testing::ValuesIn(kFormulations.begin(), kFormulations.end() - 1),
                         ByName());

TEST(BeetleTest, EachStepIsIterativelyReweightedLeastSquares) {
  constexpr double kRounding = 1e-10;  // condition 1e4, CG to 1e-14
  const auto a = torch::zeros({}, torch::kDouble).requires_grad_();
  const auto b = torch::zeros({}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({a, b},
                            NaturalGradientOptions(1).damping(Tikhonov(0)).solver(tight_solver()));
  const auto design = torch::cat({torch::ones_like(doses()), doses()}, 1);
  auto expected = torch::zeros({2, 1}, torch::kDouble);
  for (int k = 0; k < 6; ++k) {
    optimizer.step(kFormulations[0].loss(a, b));
    const auto z = design.mm(expected), p = z.sigmoid(), w = counts() * p * (1 - p);
    const auto response = z + (killed() - counts() * p) / w;
    expected = torch::linalg_solve(design.t().mm(w * design), design.t().mm(w * response));
    EXPECT_LT(relative_error(torch::stack({a, b}), expected.squeeze(1)), kRounding) << "step " << k;
  }
}

}  // namespace
}  // namespace natgrad::testing::beetle_test
