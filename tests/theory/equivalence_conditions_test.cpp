// When Fisher and Gauss-Newton matrix are one: the condition E[H_log r] = H_log r (Martens, "New
// perspectives", section 8, eq. 5), where it holds, and where it does not. Natural parameters are
// sufficient; any affine function of them is as good.

#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/log_std_gaussian.h>

#include "theory/small_network.h"

namespace natgrad::testing::equivalence_conditions_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-12;

struct EquivalenceConditions : ::testing::Test {
  const SmallNetwork network{591, 8, 2};
  Tensor z = network.forward(), j = jacobian(z, network.parameters);
  const Tensor& y = network.targets;

  double distance(const Tensor& loss) const {
    return relative_error(gauss_newton_of(loss, network.parameters),
                          fisher_of(loss, network.parameters));
  }
};

// ---- Squared error (Heskes 2000; Pascanu & Bengio 2014). ----

TEST_F(EquivalenceConditions, OfSquaredErrorTheFisherMatrixIsTheClassicalGaussNewton) {
  const auto classical = j.t().mm(j) / 8;
  EXPECT_LT(relative_error(fisher_of(nll(Gaussian(z), y), network.parameters), classical),
            kRounding);
  const auto wide = fisher_of(nll(Gaussian(z, 4), y), network.parameters);
  EXPECT_LT(relative_error(wide, classical / 4), kRounding);
  const auto of_torch =
      fisher_of(F::mse_loss(z, y), network.parameters);       // a mean over outputs too
  EXPECT_LT(relative_error(of_torch, classical), kRounding);  // 2/m = 1 for two outputs
}

TEST_F(EquivalenceConditions, WhereTheDataIsFittedTheFisherMatrixIsTheHessian) {
  const auto fitted = nll(Gaussian(z), z.detach()), noisy = nll(Gaussian(z), y);
  const auto matrix = fisher_of(fitted, network.parameters);
  EXPECT_LT(relative_error(hessian(fitted, network.parameters), matrix), kRounding);
  EXPECT_GT(relative_error(hessian(noisy, network.parameters), matrix), 0.1);
}

// ---- Parameters of the family: natural, affine functions of them, others. ----

struct FamilyParameters : ::testing::Test {
  const SmallNetwork network{592, 6, 3};
  const Tensor to_logits = randn({3, 3}, 5921), shift = randn({3}, 5922);

  Tensor with_split_at(const Tensor& w, const std::function<Tensor(const Tensor&)>& logits) const {
    const auto marked = logits(outputs(w));
    const auto own = -marked.log_softmax(1).gather(1, network.labels.unsqueeze(1)).mean();
    return gauss_newton_of(own, network.parameters);
  }
  double distance(const std::function<Tensor(const Tensor&)>& logits) const {
    const auto w = network.forward();
    const auto loss = nll(Categorical(logits(w)), network.labels);
    return relative_error(with_split_at(w, logits), fisher_of(loss, network.parameters));
  }
};

TEST_F(FamilyParameters, NaturalOnesAreEnough) {
  EXPECT_LT(distance([](const Tensor& w) { return w; }), kRounding);
}

TEST_F(FamilyParameters, AffineFunctionsOfNaturalOnesAreEnough) {
  EXPECT_LT(distance([&](const Tensor& w) { return w.mm(to_logits) + shift; }), kRounding);
}

TEST_F(FamilyParameters, OthersAreNot) {
  EXPECT_GT(distance([](const Tensor& w) { return w + 0.3 * w.pow(3); }), 0.05);
}

// ---- Families by other parameters. ----

TEST_F(EquivalenceConditions, FailsForMeanAndLogStandardDeviation) {
  const auto loss = nll(LogStdGaussian(z), y.narrow(1, 0, 1));
  EXPECT_GT(distance(loss), 0.1);
  // H_L = [[1, 2r], [2r, 2r²]]/σ² has the determinant -2r²/σ⁴ < 0 at every residual r ≠ 0.
  const auto leaf = z.detach().requires_grad_();
  const auto of_outputs = nll(LogStdGaussian(leaf), y.narrow(1, 0, 1));
  const auto blocks = gauss_newton_of(of_outputs, {leaf}).view({8, 2, 8, 2});
  const auto variance = (2 * leaf.detach().select(1, 1)).exp();
  const auto r = (y - leaf.detach()).select(1, 0);
  for (int64_t i = 0; i < 8; ++i) {
    const auto block = 8 * blocks.select(2, i).select(0, i);
    const auto determinant = -2 * r[i].square() / variance[i].square();
    EXPECT_LT(relative_error(torch::linalg_det(block), determinant), kRounding) << i;
  }
}

TEST_F(EquivalenceConditions, FailsForHuberNoise) { EXPECT_GT(distance(nll(Huber(z), y)), 0.05); }

TEST_F(EquivalenceConditions, FailsForLaplaceNoiseWhichHasNoCurvature) {
  const auto loss = nll(Laplace(z, 0.5), y);
  EXPECT_EQ(gauss_newton_of(loss, network.parameters).abs().max().item<double>(), 0);
  const auto matrix = fisher_of(loss, network.parameters);  // 1/b² = 4
  EXPECT_LT(relative_error(matrix, 4 * j.t().mm(j) / 8), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::equivalence_conditions_test
