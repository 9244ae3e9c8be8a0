// The Fisher matrix apart from the loss: of the model's own distribution, with weights 1/N, under
// objectives that are no likelihood (Martens, section 4).

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::fisher_weights_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-12;

struct FisherApartFromTheLoss : ::testing::Test {
  Network network = tanh_network();
  Tensor z = network.forward();
  Tensor actions = torch::tensor({0, 2, 5, 2});
  Tensor advantages = torch::tensor({1.5, -2.0, 0.25, -0.75}, torch::kDouble);

  Tensor expected() const {  // (1/N) Σ Jᵀ(diag p - p pᵀ)J
    const auto s = torch::full({}, 1.0 / kExamples, torch::kDouble);
    const auto j = jacobian(z, network.parameters);
    return j.t().mm(closed_form_fisher({0, categorical(), s}, z)).mm(j);
  }
  LossGraph read(const Tensor& loss) const { return LossGraph(loss, network.parameters); }
  Tensor log_probability(const Tensor& z) const {
    return z.log_softmax(1).gather(1, actions.unsqueeze(1)).squeeze(1);
  }
};

TEST_F(FisherApartFromTheLoss, UniformWeightsOfAPolicyGradient) {
  const auto graph = read(-(log_probability(z) * advantages).mean());
  const auto F = dense(fisher(graph, FisherWeights::Uniform));
  EXPECT_LT(relative_error(F, expected()), kRounding);
  EXPECT_EQ(graph.negative_weights(), 2);
  EXPECT_LT(torch::linalg_eigvalsh(dense(fisher(graph))).min().item<double>(), -1e-3);
}

TEST_F(FisherApartFromTheLoss, UniformWeightsIgnoreThoseOfTheLoss) {
  const auto weights = torch::rand({kOutputs}, seeded(1), torch::kDouble);
  const auto graph =
      read(7 * F::cross_entropy(z, actions, F::CrossEntropyFuncOptions().weight(weights)));
  EXPECT_LT(relative_error(dense(fisher(graph, FisherWeights::Uniform)), expected()), kRounding);
}

TEST_F(FisherApartFromTheLoss, NamedDistributionUnderAnyObjective) {
  const auto marked = outputs(Categorical(z));
  for (const auto& h : {marked.pow(4).sum(), (marked.softmax(1) * 3).select(1, 2).log().sum(),
                        -(log_probability(marked) * advantages).mean()}) {
    const auto graph = read(h);
    EXPECT_LT(relative_error(dense(fisher(graph)), expected()), kRounding);
    EXPECT_LT(relative_error(graph.gradient(), gradient_of(h, network.parameters)), kRounding);
  }
}

TEST_F(FisherApartFromTheLoss, GaussNewtonOfANamedDistributionIsStillTheLosss) {
  const auto named = read(outputs(Categorical(z)).pow(4).sum()),
             plain = read(outputs(z).pow(4).sum());
  EXPECT_LT(relative_error(dense(gauss_newton(named)), dense(gauss_newton(plain))), kRounding);
}

TEST_F(FisherApartFromTheLoss, TheDefaultTakesTheFisherWhereTheDistributionIsKnown) {
  const auto named = read(outputs(Categorical(z)).pow(4).sum()),
             plain = read(outputs(z).pow(4).sum());
  const FisherOrGaussNewton curvature;
  EXPECT_TRUE(identical(dense(curvature.at(named).matrix), dense(fisher(named))));
  EXPECT_TRUE(identical(dense(curvature.at(plain).matrix), dense(gauss_newton(plain))));
}

TEST_F(FisherApartFromTheLoss, TheDefaultTakesUniformWeightsWhereTheLosssAreNegative) {
  const auto graph = read(-(log_probability(z) * advantages).mean());
  EXPECT_LT(relative_error(dense(FisherOrGaussNewton().at(graph).matrix), expected()), kRounding);
  const auto uniform = Fisher().weights(FisherWeights::Uniform).at(graph).noise(seeded(1));
  EXPECT_TRUE(identical(FisherOrGaussNewton().at(graph).noise(seeded(1)), uniform));
}

TEST_F(FisherApartFromTheLoss, EachImagePositionWeighsOneOverN) {
  // [N, K, d]: an example's d observations add up.
  const auto image = z.view({kExamples, 3, 2});
  const auto graph = read(outputs(Categorical(image)).pow(2).sum());
  const auto s = torch::full({}, 1.0 / kExamples, torch::kDouble);
  const auto j = jacobian(image, network.parameters);
  const auto F = j.t().mm(closed_form_fisher({0, categorical(), s}, image)).mm(j);
  EXPECT_LT(relative_error(dense(fisher(graph)), F), kRounding);
}

TEST_F(FisherApartFromTheLoss, OutputsChangedInPlaceAreRefused) {
  // The likelihood holds the tensor: its Fisher matrix would be that of other outputs.
  const auto named = nll(Categorical(z), actions);
  const auto marked = outputs(Categorical(z));
  {
    const torch::NoGradGuard no_grad;
    z.div_(0.1);
  }
  expect_error([&] { read(named); }, "changed in place");
  expect_error([&] { read(marked.pow(2).sum()); }, "changed in place");
}

TEST_F(FisherApartFromTheLoss, OneObjectFollowsAParameterThatIsItsOutputs) {
  // A table of logits: the same likelihood serves every step.
  const auto logits = parameter({kExamples, kOutputs}, 3);
  const auto policy = std::make_shared<const Categorical>(logits);
  const auto f = [&] { return dense(fisher(LossGraph(nll(policy, actions), {logits}))); };
  const auto before = f();
  {
    const torch::NoGradGuard no_grad;
    logits.mul_(2);
  }
  const auto s = torch::full({}, 1.0 / kExamples, torch::kDouble);
  EXPECT_LT(relative_error(f(), closed_form_fisher({0, categorical(), s}, logits)), kRounding);
  EXPECT_GT(relative_error(f(), before), 0.1);
}

TEST_F(FisherApartFromTheLoss, ADistributionMarkedTwiceIsRefused) {
  const auto once = outputs(Categorical(z)), twice = outputs(Categorical(z));
  expect_error([&] { read(once.pow(2).sum() + twice.sum()); }, "Mark them once");
}

TEST_F(FisherApartFromTheLoss, WithoutADistributionIsRefused) {
  expect_error([&] { fisher(read(outputs(z).pow(2).sum())); },
               "natgrad::outputs(natgrad::Categorical(z))");
}

TEST_F(FisherApartFromTheLoss, ANaturalPolicyGradientClimbs) {
  // The same update as the dense system with the model's own Fisher matrix.
  constexpr double kLambda = 0.1, kRate = 0.5;
  const auto loss_of = [&](const Tensor& z) { return -(log_probability(z) * advantages).mean(); };
  const auto theta = flat(network.parameters).detach();
  const auto system = expected() + kLambda * torch::eye(theta.numel(), torch::kDouble);
  const auto g = gradient_of(loss_of(z), network.parameters);
  const auto wanted = theta - kRate * torch::linalg_solve(system, g);
  NaturalGradient optimizer(network.parameters,
                            NaturalGradientOptions(kRate)
                                .curvature(Fisher().weights(FisherWeights::Uniform))
                                .solver(ConjugateGradient().max_iterations(200).tolerance(1e-14))
                                .damping(Tikhonov(kLambda)));
  optimizer.step([&] { return loss_of(network.forward()); });
  EXPECT_EQ(optimizer.summary().negative_weights, 2);
  EXPECT_LT(relative_error(flat(network.parameters).detach(), wanted), 1e-10);  // CG's tolerance
  EXPECT_LT(loss_of(network.forward()).item<double>(), loss_of(z).item<double>());
}

TEST_F(FisherApartFromTheLoss, LossesWithoutCurvatureCanBeTrainedByANamedDistribution) {
  // ctc_loss cannot be differentiated twice, multi_margin_loss has no curvature.
  const auto ctc = [](const Tensor& z) {
    return F::ctc_loss(z.log_softmax(1).view({kExamples, 1, kOutputs}), torch::tensor({{1, 2}}),
                       torch::tensor({kExamples}), torch::tensor({2}));
  };
  const auto margin = [&](const Tensor& z) { return F::multi_margin_loss(z, actions); };
  for (const auto& loss : std::vector<std::function<Tensor(const Tensor&)>>{ctc, margin}) {
    NaturalGradient optimizer(network.parameters);
    const auto closure = [&] { return loss(outputs(Categorical(network.forward()))); };
    const auto before = closure().item<double>();
    for (int i = 0; i < 5; ++i) optimizer.step(closure);
    EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
    EXPECT_LT(closure().item<double>(), before);
  }
}

}  // namespace
}  // namespace natgrad::testing::fisher_weights_test
