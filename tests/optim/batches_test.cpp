// Steps on a batch in chunks, and on batches of their own for gradient, curvature and trials.

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <natgrad/step_control/line_search.h>
#include <natgrad/step_control/quadratic_model_step.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::batches_test {
namespace {

namespace F = torch::nn::functional;

// Sums over the batch in another order, through solves of condition about 1e3.
constexpr double kReordered = 1e-10;

struct Net {
  std::vector<Tensor> parameters = {(0.5 * randn({5, 4}, 1)).requires_grad_(),
                                    (0.5 * randn({3, 5}, 2)).requires_grad_()};
  Tensor inputs = randn({24, 4}, 3);
  Tensor labels = torch::arange(24).remainder(3);

  Tensor loss(int64_t from, int64_t count) const {
    const auto x = inputs.narrow(0, from, count);
    const auto z = x.mm(parameters[0].t()).tanh().mm(parameters[1].t());
    return F::cross_entropy(z, labels.narrow(0, from, count));
  }
  Tensor theta() const { return flat(parameters).detach().clone(); }
};

NaturalGradientOptions tight(const Damping& damping) {
  return NaturalGradientOptions(0.7)
      .curvature(FisherOrGaussNewton())
      .weight_decay(1e-2)
      .solver(tight_solver())
      .damping(damping);
}

/// Some steps on whole batches and on the same data in chunks.
void expect_chunks_to_equal_the_whole(const NaturalGradientOptions& options, int64_t chunks) {
  Net whole, chunked;
  NaturalGradient a(whole.parameters, options), b(chunked.parameters, options);
  for (int step = 0; step < 4; ++step) {
    const auto loss = a.step([&] { return whole.loss(0, 24); });
    const auto mean =
        b.step(chunks, [&](int64_t k) { return chunked.loss(k * 24 / chunks, 24 / chunks); });
    ASSERT_EQ(b.summary().outcome, StepOutcome::Accepted) << b.summary().message();
    EXPECT_NEAR(mean.item<double>(), loss.item<double>(), kReordered);
    EXPECT_NEAR(b.summary().gradient_norm, a.summary().gradient_norm, kReordered);
    EXPECT_LE(relative_error(chunked.theta(), whole.theta()), kReordered);
  }
}

TEST(ChunksTest, EqualTheWholeBatch) {
  for (const int64_t chunks : {2, 3, 8}) {
    SCOPED_TRACE(chunks);
    expect_chunks_to_equal_the_whole(tight(Tikhonov(0.1)), chunks);
    expect_chunks_to_equal_the_whole(tight(LevenbergMarquardt().initial(0.1)), chunks);
    expect_chunks_to_equal_the_whole(tight(Tikhonov(2)).curvature(Hessian()), chunks);
    expect_chunks_to_equal_the_whole(tight(Tikhonov(0.1)).curvature(EmpiricalFisher()), chunks);
    expect_chunks_to_equal_the_whole(
        tight(LevenbergMarquardt().initial(0.1)).step_rule(LineSearch()), chunks);
    expect_chunks_to_equal_the_whole(tight(Proximal().fixed_lambda(0.1)).solver(tight_solver()),
                                     chunks);
  }
}

TEST(ChunksTest, SampledTargetsAreOnesThroughoutASolve) {
  // Converged means that the residual, recomputed, is small: of one and the same matrix.
  Net net;
  NaturalGradient optimizer(net.parameters, tight(Tikhonov(0.1)).curvature(MonteCarloFisher(2)));
  optimizer.step(4, [&](int64_t k) { return net.loss(6 * k, 6); });
  EXPECT_EQ(optimizer.summary().solver.termination, Termination::Converged)
      << optimizer.summary().message();
}

TEST(ChunksTest, UnequalOnesAreWeighedByTheClosure) {
  Net whole, chunked;
  const auto options = tight(Tikhonov(0.1));
  NaturalGradient a(whole.parameters, options), b(chunked.parameters, options);
  a.step([&] { return whole.loss(0, 24); });
  b.step(2, [&](int64_t k) {
    const int64_t count = k == 0 ? 18 : 6;
    return chunked.loss(k == 0 ? 0 : 18, count) * (count * 2 / 24.0);
  });
  EXPECT_LE(relative_error(chunked.theta(), whole.theta()), kReordered);
}

/// A node that counts how many of its kind are alive: the activations that a graph holds.
struct Counted : torch::autograd::Function<Counted> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x,
                        const std::shared_ptr<int>& alive) {
    context->saved_data["alive"] = torch::IValue::make_capsule(c10::make_intrusive<Life>(alive));
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    return {gradients[0], Tensor()};
  }
  struct Life : torch::CustomClassHolder {
    explicit Life(std::shared_ptr<int> count) : alive(std::move(count)) { ++*alive; }
    ~Life() override { --*alive; }
    std::shared_ptr<int> alive;
  };
};

TEST(ChunksTest, HoldTheGraphsOfTwoAtMost) {
  Net net;
  const auto alive = std::make_shared<int>(0);
  int most = 0;
  NaturalGradient optimizer(net.parameters, tight(LevenbergMarquardt().initial(0.1)));
  optimizer.step(8, [&](int64_t k) {
    const auto loss = Counted::apply(net.loss(3 * k, 3), alive);
    most = std::max(most, *alive);
    return loss;
  });
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_EQ(*alive, 0);
  EXPECT_LE(most, 2);
}

// The noise behind the default's λ is the first chunk's, hence a λ of its own here.
TEST(ChunksTest, EqualTheWholeBatchByScoreRowsToo) {
  const auto damping = Proximal().fixed_lambda(0.1);
  for (const int64_t chunks : {2, 8}) {
    for (const bool by_rows : {false, true}) {
      auto options = tight(damping).curvature(ScoreRowsOrFisher());
      if (by_rows) options.solver(DualOrConjugateGradient().iterative(tight_solver()));
      expect_chunks_to_equal_the_whole(options, chunks);
      expect_chunks_to_equal_the_whole(options.step_rule(HeldOutRate()), chunks);
    }
  }
}

TEST(ChunksTest, CurvatureMayTakeTheFirstOnes) {
  Net net;
  const auto before = net.theta();
  NaturalGradient optimizer(net.parameters,
                            tight(Tikhonov(0.1)).weight_decay(0).curvature_chunks(1));
  optimizer.step(4, [&](int64_t k) { return net.loss(6 * k, 6); });
  const auto moved = net.theta() - before;
  const Net start;
  const LossGraph part(start.loss(0, 6), start.parameters),
      whole(start.loss(0, 24), start.parameters);
  const auto A =
      dense(FisherOrGaussNewton().at(part).matrix) + 0.1 * torch::eye(35, torch::kDouble);
  EXPECT_LE(relative_error(moved, 0.7 * torch::linalg_solve(A, -whole.gradient())), kReordered);
}

TEST(BatchesTest, EachPartTakesItsOwn) {
  Net net;
  const auto before = net.theta();
  int gradients = 0, curvatures = 0, trials = 0;
  NaturalGradient optimizer(net.parameters,
                            tight(LevenbergMarquardt().initial(0.1)).weight_decay(0));
  Batches batches;
  batches.gradient = Batch([&] { return ++gradients, net.loss(0, 12); });
  batches.curvature = Batch([&] { return ++curvatures, net.loss(12, 6); });
  batches.trial = Batch([&] { return ++trials, net.loss(18, 6); });
  optimizer.step(batches);
  const Net start;
  const LossGraph g(start.loss(0, 12), start.parameters), c(start.loss(12, 6), start.parameters);
  const auto C = dense(FisherOrGaussNewton().at(c).matrix);
  const auto delta =
      0.7 * torch::linalg_solve(C + 0.1 * torch::eye(35, torch::kDouble), -g.gradient());
  EXPECT_LE(relative_error(net.theta() - before, delta), kReordered);
  const double promise = (g.gradient().dot(delta) + 0.5 * delta.dot(C.mv(delta))).item<double>();
  const double change = (net.loss(18, 6) - start.loss(18, 6)).item<double>();
  EXPECT_NEAR(*optimizer.summary().ratio, change / promise, 1e-8);
  EXPECT_EQ(gradients, 1);
  EXPECT_EQ(curvatures, 1);
  EXPECT_EQ(trials, 3);  // h(θ), once more to compare, and h(θ + δ)
}

// d by the part's curvature, its length by that of all: -gᵀd / dᵀAd.
TEST(BatchesTest, ARuleMayTakeTheModelOfTheWholeBatch) {
  for (const bool whole : {false, true}) {
    Net net;
    const auto before = net.theta();
    NaturalGradient optimizer(
        net.parameters,
        tight(Tikhonov(0.1)).weight_decay(0).step_rule(QuadraticModelStep().whole_batch(whole)));
    optimizer.step(
        Batches{Batch([&] { return net.loss(0, 12); }), Batch([&] { return net.loss(0, 3); })});
    const Net start;
    const LossGraph g(start.loss(0, 12), start.parameters), c(start.loss(0, 3), start.parameters);
    const auto shift = 0.1 * torch::eye(35, torch::kDouble);
    const auto part = dense(FisherOrGaussNewton().at(c).matrix) + shift;
    const auto all = dense(FisherOrGaussNewton().at(g).matrix) + shift;
    const auto d = torch::linalg_solve(part, -g.gradient());
    const auto& A = whole ? all : part;
    const double length = -(g.gradient().dot(d) / d.dot(A.mv(d))).item<double>();
    EXPECT_LE(relative_error(net.theta() - before, 0.7 * length * d), kReordered) << whole;
  }
}

TEST(BatchesTest, FaultyOnesLeaveNoTrace) {
  Net net;
  NaturalGradient optimizer(net.parameters, tight(Tikhonov(0.1)));
  Batches batches;
  batches.gradient = Batch([&] { return net.loss(0, 12); });
  batches.curvature = Batch([&] { return net.loss(0, 12) / 0.0; });
  const auto before = net.theta();
  optimizer.step(batches);
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_TRUE(torch::equal(net.theta(), before));
  expect_error([&] { optimizer.step(Batches{}); }, "step needs the loss");
  expect_error([&] { optimizer.step(0, [&](int64_t) { return net.loss(0, 12); }); },
               "at least 1 chunk");
}

}  // namespace
}  // namespace natgrad::testing::batches_test
