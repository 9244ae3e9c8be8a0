// The Fisher matrix as covariance of the score and as minus the expected Hessian, in the parameters
// of a whole network (Martens, "New perspectives", section 5; the note on natural gradient, "mean
// of s(θ) is 0"). Under the data's own targets the mean is not zero, and covariance and second
// moment part.

#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/log_std_gaussian.h>

#include "support/quadrature.h"
#include "theory/small_network.h"

namespace natgrad::testing::score_test {
namespace {

constexpr double kRounding = 1e-12;
constexpr int64_t kClasses = 3;

struct Score : ::testing::Test {
  const SmallNetwork network{541, 5, kClasses};
  Tensor p = network.forward().softmax(1).detach();
  const int64_t size = network.theta().numel(), n = network.x.size(0);

  /// ∇log p(y|x_i) through the library.
  Tensor score(int64_t i, int64_t y) const {
    const auto z = network.forward().narrow(0, i, 1);
    return -LossGraph(nll(Categorical(z), torch::tensor({y})), network.parameters).gradient();
  }
  Tensor zeros(at::IntArrayRef shape) const { return torch::zeros(shape, torch::kDouble); }
};

TEST_F(Score, HasMeanZeroUnderTheModel) {
  for (int64_t i = 0; i < n; ++i) {
    auto mean = zeros({size});
    double size_of_terms = 0;
    for (int64_t y = 0; y < kClasses; ++y) {
      mean += p[i][y] * score(i, y);
      size_of_terms += (p[i][y] * score(i, y)).norm().item<double>();
    }
    EXPECT_LT(mean.norm().item<double>(), kRounding * size_of_terms);
  }
}

TEST_F(Score, HasTheFisherMatrixAsCovarianceUnderTheModel) {
  // About its mean, which the second moment leaves out.
  auto covariance = zeros({size, size});
  for (int64_t i = 0; i < n; ++i) {
    auto mean = zeros({size});
    for (int64_t y = 0; y < kClasses; ++y) mean += p[i][y] * score(i, y);
    for (int64_t y = 0; y < kClasses; ++y) {
      const auto centred = score(i, y) - mean;
      covariance += p[i][y] * centred.outer(centred) / double(n);
    }
  }
  const auto loss = nll(Categorical(network.forward()), network.labels);
  EXPECT_LT(relative_error(fisher_of(loss, network.parameters), covariance), kRounding);
}

TEST_F(Score, HasMinusTheExpectedHessianAsCovariance) {
  // The network's own second derivatives meet the score, whose mean is zero: they drop out.
  auto expected = zeros({size, size});
  const auto z = network.forward();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t y = 0; y < kClasses; ++y) {
      const auto log_p = z[i][y] - z[i].exp().sum().log();
      expected -= p[i][y] * hessian(log_p, network.parameters) / double(n);
    }
  }
  const auto loss = nll(Categorical(z), network.labels);
  EXPECT_LT(relative_error(fisher_of(loss, network.parameters), expected), kRounding);
}

TEST_F(Score, HasAMeanUnderTheData) {
  // Second moment - covariance = ∇h ∇hᵀ, so that the note's "covariance" needs the model's targets.
  std::vector<Tensor> scores;
  for (int64_t i = 0; i < n; ++i) scores.push_back(score(i, network.labels[i].item<int64_t>()));
  const auto s = torch::stack(scores);
  const auto moment = s.t().mm(s) / double(n), covariance = torch::cov(s.t(), /*correction=*/0);
  const auto loss = nll(Categorical(network.forward()), network.labels);
  const auto g = LossGraph(loss, network.parameters).gradient();
  EXPECT_LT(relative_error(moment - covariance, g.outer(g)), kRounding);
  EXPECT_GT(relative_error(moment, covariance), 0.05);
}

TEST(ScoreTest, OfAFamilyThatIsNotNaturalHasMinusTheExpectedHessianToo) {
  // (μ, log σ): H_L depends on y and is indefinite; its mean over the model's y is F.
  const SmallNetwork network(542, 5, 2);
  const auto z = network.forward().detach();
  const auto support = real_line(z.narrow(1, 0, 1), z.narrow(1, 1, 1).exp());
  auto expected = torch::zeros({17, 17}, torch::kDouble);
  for (size_t k = 0; k < support.points.size(); ++k) {
    const auto r = LogStdGaussian(z).log_prob(support.points[k]).exp() * support.measure[k];
    const auto losses =
        nll(LogStdGaussian(network.forward()), support.points[k], at::Reduction::None);
    expected += gauss_newton_of((r * losses).sum() / 5, network.parameters);
  }
  const auto y = randn({5, 1}, 5421);
  const auto loss = nll(LogStdGaussian(network.forward()), y);
  EXPECT_LT(relative_error(fisher_of(loss, network.parameters), expected), kRounding);
  EXPECT_GT(relative_error(gauss_newton_of(loss, network.parameters), expected), 0.1);
}

}  // namespace
}  // namespace natgrad::testing::score_test
