// The empirical Fisher matrix over a known q(y|x) (Martens, "New perspectives", section 7: the
// inner expectation over Q_{y|x}), against the sum over all targets, gradient by gradient.

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/poisson.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::soft_targets_test {
namespace {

namespace F = torch::nn::functional;

// Sums of some hundred products in double.
constexpr double kRounding = 1e-12;
constexpr int64_t kN = 4, kK = 3, kP = 5 * kK;

struct SoftTargetsTest : ::testing::Test {
  const Tensor x = randn({kN, 5}, 1), w = randn({kK, 5}, 2).requires_grad_();
  const Tensor q = randn({kN, kK}, 3).softmax(1);
  const Tensor weights = torch::rand({kN}, seeded(4), torch::kDouble) + 0.2;

  Tensor z() const { return x.mm(w.t()).tanh() * 2; }
  LossGraph graph(const Tensor& loss) const { return LossGraph(loss, {w}); }
  static Tensor of_distribution(const LossGraph& graph, Moment moment = Moment::Uncentred,
                                FisherWeights choice = FisherWeights::OfTheLoss) {
    return dense(empirical_fisher(graph, moment, choice, SoftTargets::Distribution));
  }

  /// Σ sᵢ Σ_y q_iy g gᵀ, g = ∇_θ log softmax(zᵢ)_y.
  Tensor over_classes(const Tensor& q_y, const Tensor& s) const {
    const auto log_p = z().log_softmax(1);
    auto sum = torch::zeros({kP, kP}, torch::kDouble);
    for (int64_t i = 0; i < kN; ++i) {
      for (int64_t y = 0; y < kK; ++y) {
        const auto g = gradient_of(log_p[i][y], {w});
        sum += (s[i] * q_y[i][y] * g.outer(g)).detach();
      }
    }
    return sum;
  }
  Tensor mean_weights() const { return torch::full({kN}, 1. / kN, torch::kDouble); }
};

TEST_F(SoftTargetsTest, OfClassesAreSummedOver) {
  const auto expected = over_classes(q, mean_weights());
  for (const auto& loss : {F::cross_entropy(z(), q), nll(Categorical(z()), q)}) {
    EXPECT_LT(relative_error(of_distribution(graph(loss)), expected), kRounding);
    // The mean gradient's outer product is another matrix.
    EXPECT_GT(relative_error(dense(empirical_fisher(graph(loss))), expected), 0.5);
  }
}

TEST_F(SoftTargetsTest, OfSmoothedLabelsAreSummedOver) {
  const auto labels = torch::tensor({0, 2, 1, 1});
  const auto loss =
      F::cross_entropy(z(), labels, F::CrossEntropyFuncOptions().label_smoothing(0.3));
  const auto smoothed = 0.7 * torch::one_hot(labels, kK).to(torch::kDouble) + 0.3 / kK;
  EXPECT_LT(relative_error(of_distribution(graph(loss)), over_classes(smoothed, mean_weights())),
            kRounding);
}

TEST_F(SoftTargetsTest, WeighAsTheLossDoesOrAlike) {
  const auto loss = (weights * nll(Categorical(z()), q, at::Reduction::None)).sum();
  EXPECT_LT(relative_error(of_distribution(graph(loss)), over_classes(q, weights)), kRounding);
  const auto uniform = of_distribution(graph(loss), Moment::Uncentred, FisherWeights::Uniform);
  EXPECT_LT(relative_error(uniform, over_classes(q, mean_weights())), kRounding);
}

TEST_F(SoftTargetsTest, CentredTakeTheMeanOff) {
  const auto loss = nll(Categorical(z()), q);
  const auto g = gradient_of(loss, {w});
  EXPECT_LT(relative_error(of_distribution(graph(loss), Moment::Centred),
                           over_classes(q, mean_weights()) - g.outer(g)),
            kRounding);
}

TEST_F(SoftTargetsTest, OfTheModelItselfGiveTheFisherMatrix) {
  const auto of_model = graph(nll(Categorical(z()), z().detach().softmax(1)));
  EXPECT_LT(relative_error(of_distribution(of_model), dense(fisher(of_model))), kRounding);
  const auto coins = graph(nll(Bernoulli(z()), z().detach().sigmoid()));
  EXPECT_LT(relative_error(of_distribution(coins), dense(fisher(coins))), kRounding);
}

TEST_F(SoftTargetsTest, OfOneHotOrPointTargetsChangeNothing) {
  const auto hot = torch::one_hot(torch::tensor({0, 2, 1, 1}), kK).to(torch::kDouble);
  for (const auto& loss :
       {nll(Categorical(z()), hot), nll(Bernoulli(z()), hot), nll(Gaussian(z()), q)}) {
    EXPECT_LT(relative_error(of_distribution(graph(loss)), dense(empirical_fisher(graph(loss)))),
              kRounding);
  }
}

/// Σ over all 2^3 outcomes of an example's three coins.
TEST_F(SoftTargetsTest, OfSeveralCoinsAnExampleAreIndependent) {
  auto expected = torch::zeros({kP, kP}, torch::kDouble);
  for (int64_t i = 0; i < kN; ++i) {
    for (int outcome = 0; outcome < 8; ++outcome) {
      const auto y = torch::tensor({outcome & 1, outcome >> 1 & 1, outcome >> 2 & 1});
      const auto probability = torch::where(y.eq(1), q[i], 1 - q[i]).prod();
      const auto log_p = torch::log_sigmoid(torch::where(y.eq(1), z()[i], -z()[i])).sum();
      const auto g = gradient_of(log_p, {w});
      expected += (probability * g.outer(g)).detach() / kN;
    }
  }
  EXPECT_LT(relative_error(of_distribution(graph(nll(Bernoulli(z()), q))), expected), kRounding);
}

/// A class by softmax and a coin, of one example each, the second with three times the weight.
TEST_F(SoftTargetsTest, OfSeveralHeadsAreIndependent) {
  const auto head = z().select(1, 0), coin = q.select(1, 1);
  const auto classes = z().narrow(1, 0, 2), share = q.narrow(1, 0, 2).softmax(1);
  const auto loss = nll(Categorical(classes), share) + 3 * nll(Bernoulli(head), coin);
  auto expected = torch::zeros({kP, kP}, torch::kDouble);
  for (int64_t i = 0; i < kN; ++i) {
    for (int64_t a = 0; a < 2; ++a) {
      for (int64_t b = 0; b < 2; ++b) {
        const auto probability = share[i][a] * (b == 1 ? coin[i] : 1 - coin[i]);
        // The example's weight is the larger, 3/N: the first head counts a third of it.
        const auto log_p =
            classes[i].log_softmax(0)[a] / 3 + torch::log_sigmoid(b == 1 ? head[i] : -head[i]);
        const auto g = gradient_of(log_p, {w});
        expected += (3. / kN * probability * g.outer(g)).detach();
      }
    }
  }
  EXPECT_LT(relative_error(of_distribution(graph(loss)), expected), kRounding);
}

// ---- A q that is given point by point. ----

TEST_F(SoftTargetsTest, GivenClassByClassAreTheSame) {
  const auto loss = (weights * nll(Categorical(z()), q, at::Reduction::None)).sum();
  std::vector<WeightedTargets> points;
  for (int64_t y = 0; y < kK; ++y) {
    points.push_back({torch::full({kN}, y, torch::kLong), q.select(1, y)});
  }
  // Whatever the loss's own targets are.
  const auto other =
      (weights * F::cross_entropy(z(), torch::tensor({0, 1, 1, 2}),
                                  F::CrossEntropyFuncOptions().reduction(torch::kNone)))
          .sum();
  for (const auto& l : {loss, other}) {
    EXPECT_LT(relative_error(dense(empirical_fisher(graph(l), points)), over_classes(q, weights)),
              kRounding);
    EXPECT_LT(relative_error(dense(empirical_fisher(graph(l), points, FisherWeights::Uniform)),
                             over_classes(q, mean_weights())),
              kRounding);
  }
}

TEST_F(SoftTargetsTest, GivenAsPointsOfTheRealLineTellItsMoments) {
  // y = z ± 1 with equal probability, of variance 1: F of a Gaussian with variance 1, and of one
  // with variance ½ four times as much.
  const auto y = z().detach();
  const auto half = torch::tensor(0.5, torch::kDouble);
  for (const double variance : {1., 0.5}) {
    const auto of = graph(nll(Gaussian(z(), variance), q));
    const auto signs = torch::tensor({1., 1., -1.}, torch::kDouble);
    // Two signs an output, so that different outputs are uncorrelated: all four patterns.
    std::vector<WeightedTargets> points;
    for (int pattern = 0; pattern < 8; ++pattern) {
      const auto sign = torch::tensor({pattern & 1, pattern >> 1 & 1, pattern >> 2 & 1});
      points.push_back({y + 2 * sign.to(torch::kDouble) - 1, half / 4});
    }
    const auto J = jacobian(z(), {w});
    const auto expected = J.t().mm(J) / (kN * variance * variance);
    EXPECT_LT(relative_error(dense(empirical_fisher(of, points)), expected), kRounding);
  }
}

TEST_F(SoftTargetsTest, GivenWronglyThrow) {
  const auto of = graph(nll(Categorical(z()), q));
  const auto label = torch::zeros({kN}, torch::kLong);
  const auto number = [](double p) { return torch::tensor(p, torch::kDouble); };
  expect_error([&] { empirical_fisher(of, {{label, number(0.5)}}); }, "sum to 1");
  expect_error([&] { empirical_fisher(of, {{label, number(2)}, {label, number(-1)}}); }, ">= 0");
  expect_error([&] { empirical_fisher(of, {{label, torch::ones({kN + 1})}}); }, "[4]");
  expect_error([&] { empirical_fisher(of, {{q, Tensor()}}); }, "none");
  expect_error([&] { empirical_fisher(of, {{label + 7, number(1)}}); }, "class index");
  expect_error([&] { empirical_fisher(of, std::vector<WeightedTargets>{}); }, "sum to 1");
  const auto two = graph(nll(Categorical(z()), q) + nll(Bernoulli(z()), q));
  expect_error([&] { empirical_fisher(two, {{label, number(1)}}); }, "2; form the matrix of each");
  const auto own = graph((outputs(z()) - q).pow(4).mean());
  expect_error([&] { empirical_fisher(own, {{label, number(1)}}); }, "nll(likelihood, y)");
}

}  // namespace
}  // namespace natgrad::testing::soft_targets_test
