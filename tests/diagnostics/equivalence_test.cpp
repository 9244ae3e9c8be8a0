// `equivalence` on heads, users' own losses and densities, other precisions; and on curvatures that
// are wrong on purpose.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/exponential_family.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>

#include "support/oracles.h"
#include "theory/small_network.h"

namespace natgrad::testing::equivalence_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double of a few numbers of order one.
constexpr double kRounding = 1e-12;
// The same in float32, through three layers.
constexpr double kRoundingFloat = 1e-5;

/// The term with a z of so many columns.
const TermCondition& term_of(const Equivalence& report, int64_t columns) {
  for (const auto& term : report.terms) {
    if (term.shape.back() == columns) return term;
  }
  throw std::logic_error("no term has so many columns");
}

/// Three outputs an example: two classes and a number, each with a head.
struct Heads {
  const SmallNetwork network{601, 8, 3};
  const Tensor labels = network.labels.clamp_max(1), reals = 3 * network.targets.narrow(1, 2, 1);

  LossGraph graph(bool robust) const {
    const auto z = network.forward();
    const auto classes = F::cross_entropy(z.narrow(1, 0, 2), labels);
    const auto number = z.narrow(1, 2, 1);
    const auto error = robust ? nll(Huber(number), reals) : nll(Gaussian(number, 0.5), reals);
    return LossGraph(classes + error, network.parameters);
  }
};

TEST(EquivalenceTest, HoldsForHeadsOfNaturalParameters) {
  const auto report = equivalence(Heads().graph(/*robust=*/false));
  EXPECT_TRUE(report.holds_for_every_target) << report.message();
  EXPECT_LT(report.distance.value(), kRounding);
  EXPECT_EQ(report.distances.size(), 3);
}

TEST(EquivalenceTest, NamesTheHeadThatBreaksIt) {
  const auto report = equivalence(Heads().graph(/*robust=*/true));
  EXPECT_FALSE(report.holds);
  ASSERT_EQ(report.terms.size(), 2);
  const auto &classes = term_of(report, 2), &number = term_of(report, 1);
  EXPECT_TRUE(classes.holds);
  EXPECT_EQ(classes.share, 0);
  EXPECT_FALSE(number.holds);
  EXPECT_EQ(number.breach, Breach::DependsOnTarget);
  EXPECT_TRUE(says(number.reason, "no natural parameter of Huber")) << number.reason;
  // It alone makes the distance, along the first probe.
  EXPECT_NEAR(number.share.value(), report.distances[0], kRounding);
  EXPECT_TRUE(says(report.message(),
                   ": Huber(delta=1, scale=1) on z [8, 1], between Slice and "
                   "natgrad::nll: breaks it"))
      << report.message();
}

TEST(EquivalenceTest, ToldWhereTheSplitLies) {
  const auto report = equivalence(Heads().graph(true));
  const auto &classes = term_of(report, 2), &number = term_of(report, 1);
  EXPECT_EQ(classes.shape, (std::vector<int64_t>{8, 2}));
  EXPECT_EQ(classes.below, "Slice");
  EXPECT_EQ(classes.above, "LogSoftmax");
  EXPECT_EQ(number.above, "natgrad::nll");
  EXPECT_NE(number.output, classes.output);
}

TEST(EquivalenceTest, OfADifferenceOfTwoNetworksTheSplitIsTheDifference) {
  const SmallNetwork network{602, 5, 2};
  const auto z = network.forward(), other = network.forward().sin();
  const auto report = equivalence(LossGraph(F::mse_loss(z, other), network.parameters));
  EXPECT_TRUE(report.holds);
  EXPECT_EQ(report.terms[0].below, "Addmm minus Sin");
  EXPECT_EQ(report.terms[0].above, "MseLoss");
}

// ---- Losses of the user's own. ----

struct OwnLosses : ::testing::Test {
  const SmallNetwork network{603, 8, 2};
  const Tensor& y = network.targets;

  /// |z - y|^p with the targets given, its outputs marked.
  Tensor power(double p, const Tensor& targets) const {
    return (outputs(network.forward()) - targets).pow(p).sum(1).mean();
  }
  Equivalence report(double p) const {
    return equivalence(
        LossGraph(power(p, y), network.parameters),
        EquivalenceOptions().other_targets([=, this] { return power(p, y.flip(0)); }));
  }
};

TEST_F(OwnLosses, HaveNoFisherMatrixAndTheirTargetsCannotBeVaried) {
  const auto report = equivalence(LossGraph(power(4, y), network.parameters));
  EXPECT_FALSE(report.holds);
  EXPECT_FALSE(report.distance.has_value());
  EXPECT_EQ(report.terms[0].breach, Breach::NoDistribution);
  EXPECT_FALSE(report.terms[0].target_gap.has_value());
  EXPECT_TRUE(says(report.message(), "give other_targets()")) << report.message();
}

// H_L of (z - y)⁴ is 12 (z - y)², of (z - y)² it is 2.
TEST_F(OwnLosses, TellWhetherTheirHessianDependsOnTheTargets) {
  const auto quartic = report(4), square = report(2);
  EXPECT_GT(quartic.terms[0].target_gap.value(), 0.1);
  EXPECT_TRUE(says(quartic.message(), "H_L depends on y")) << quartic.message();
  EXPECT_LT(square.terms[0].target_gap.value(), kRounding);
  EXPECT_TRUE(says(square.message(), "H_L does not depend on y")) << square.message();
  EXPECT_FALSE(square.holds);
}

TEST_F(OwnLosses, OfNamedOutputsAreHeldAgainstTheirDistribution) {
  const auto& labels = network.labels.unsqueeze(1);
  const auto loss = [&](const Tensor& advantages) {
    const auto z = outputs(Categorical(network.forward()));
    return -(z.log_softmax(1).gather(1, labels) * advantages).mean();
  };
  const auto ones = torch::ones({8, 1}, torch::kDouble);
  const auto likelihood = equivalence(LossGraph(loss(ones), network.parameters));
  EXPECT_TRUE(likelihood.holds) << likelihood.message();
  EXPECT_FALSE(likelihood.holds_for_every_target);  // which nothing has shown
  const auto policy = equivalence(LossGraph(loss(3 * ones), network.parameters));
  EXPECT_EQ(policy.terms[0].breach, Breach::OwnLoss);
  EXPECT_NEAR(policy.distance.value(), 2. / 3, kRounding);  // G = 3F
  EXPECT_NEAR(policy.terms[0].gap.value(), 2, kRounding);
}

// With softmax in the network, L(y, p) = -log p_y depends on y beyond what is linear in it.
TEST_F(OwnLosses, OfProbabilitiesShowTheSoftmaxBelowTheSplit) {
  const auto loss = [&](const Tensor& labels) {
    const auto p = outputs(network.forward().softmax(1));
    return -p.gather(1, labels.unsqueeze(1)).log().mean();
  };
  const auto& labels = network.labels;
  const auto report =
      equivalence(LossGraph(loss(labels), network.parameters),
                  EquivalenceOptions().other_targets([&] { return loss(1 - labels); }));
  EXPECT_EQ(report.terms[0].below, "Softmax");
  EXPECT_GT(report.terms[0].target_gap.value(), 0.1);
  EXPECT_TRUE(says(report.message(), "Mark what goes into Softmax")) << report.message();
}

TEST_F(OwnLosses, OtherTargetsMustBeOfTheSameOutputs) {
  const auto other = [&] {
    return F::mse_loss(network.forward().narrow(1, 0, 1), y.narrow(1, 0, 1));
  };
  expect_error(
      [&] {
        equivalence(LossGraph(power(2, y), network.parameters),
                    EquivalenceOptions().other_targets(other));
      },
      "differ from the loss in the targets' values alone");
}

// ---- Densities of the user's own. ----

ExponentialFamilyOptions unit_gaussian() {
  return ExponentialFamilyOptions("unit Gaussian")
      .statistics([](auto& y) { return y; })
      .log_partition([](auto& z) { return 0.5 * z.square().sum(1); });
}

TEST_F(OwnLosses, AnExponentialFamilyWithoutASamplerIsTakenAtItsWord) {
  const ExponentialFamily family(network.forward(), unit_gaussian());
  const auto report = equivalence(LossGraph(nll(family, y), network.parameters));
  EXPECT_TRUE(report.holds_for_every_target);
  EXPECT_TRUE(says(report.message(), "none could be drawn")) << report.message();
  EXPECT_FALSE(report.terms[0].target_gap.has_value());
}

/// Another family's log r, with what a careless author may get wrong.
class Careless final : public Likelihood {
 public:
  Careless(std::shared_ptr<const Likelihood> right, double factor, bool told)
      : Likelihood(right->outputs()), right_(std::move(right)), factor_(factor), told_(told) {}
  std::string describe() const override { return "Careless"; }
  Tensor fisher_multiply(const Tensor& v) const override {
    return factor_ * right_->fisher_multiply(v);
  }
  Tensor factor_multiply(const Tensor& r) const override { return right_->factor_multiply(r); }
  Tensor sample(std::optional<at::Generator> generator) const override {
    return right_->sample(std::move(generator));
  }
  bool hessian_is_fisher() const override { return told_; }
  void check_targets(const Tensor& y) const override { right_->check_targets(y); }

 private:
  Tensor compute_log_prob(const Tensor& y) const override { return right_->log_prob(y); }
  Tensor compute_score(const Tensor& y) const override { return right_->score(y); }

  std::shared_ptr<const Likelihood> right_;
  double factor_;
  bool told_;
};

Equivalence of_careless(const SmallNetwork& network, bool robust, double factor, bool told) {
  const auto z = network.forward();
  std::shared_ptr<const Likelihood> right;
  if (robust) {
    right = std::make_shared<Huber>(z);
  } else {
    right = std::make_shared<Gaussian>(z);
  }
  const auto loss = nll(std::make_shared<Careless>(right, factor, told), 3 * network.targets);
  return equivalence(LossGraph(loss, network.parameters));
}

TEST_F(OwnLosses, AWrongFisherMatrixOfAFamilyIsFound) {
  const auto term = of_careless(network, false, 1.1, true).terms[0];
  EXPECT_EQ(term.breach, Breach::NotFisher);
  EXPECT_NEAR(term.gap.value(), 0.1 / 1.1, kRounding);
  EXPECT_TRUE(says(term.reason, "fisher_multiply is wrong")) << term.reason;
}

TEST_F(OwnLosses, AFamilyThatWronglySaysThatItsHessianIsFisherIsFound) {
  const auto term = of_careless(network, true, 1, true).terms[0];
  EXPECT_EQ(term.breach, Breach::DependsOnTarget);
  EXPECT_TRUE(says(term.reason, "although its hessian_is_fisher()")) << term.reason;
}

// ---- Curvatures that are wrong on purpose. ----

struct WrongCurvature : ::testing::Test {
  const LossGraph graph = Heads().graph(false);
  const LinearOperator right = gauss_newton(graph);
  const Tensor M = dense(right);

  double distance(const LinearOperator& wrong) const {
    const auto report = equivalence(graph, wrong, right);
    EXPECT_FALSE(report.holds);
    EXPECT_FALSE(report.holds_for_every_target);
    EXPECT_TRUE(says(report.message(), "not equal")) << report.message();
    return report.distance.value();
  }
};

TEST_F(WrongCurvature, RightIsEqualToItself) {
  EXPECT_TRUE(equivalence(graph, right, right).holds);
}

TEST_F(WrongCurvature, Scaled) { EXPECT_NEAR(distance(1.01 * right), 0.01, kRounding); }

TEST_F(WrongCurvature, OfTheWrongSign) { EXPECT_NEAR(distance(-1.0 * right), 2, kRounding); }

TEST_F(WrongCurvature, WithoutATerm) {
  const Heads heads;
  const auto z = heads.network.forward();
  const LossGraph one(F::cross_entropy(z.narrow(1, 0, 2), heads.labels), heads.network.parameters);
  // The graphs are of equal parameters, so that one's matrix may be asked for the other's.
  EXPECT_GT(distance(from_dense(dense(fisher(one)))), 0.1);
}

TEST_F(WrongCurvature, WithoutTheOffDiagonal) {
  EXPECT_GT(distance(diagonal_operator(M.diagonal().contiguous())), 0.1);
}

TEST_F(WrongCurvature, NotSymmetric) {
  const auto skew = randn(M.sizes(), 611);
  EXPECT_GT(distance(from_dense(M + 1e-3 * (skew - skew.t()))), 1e-4);
}

TEST_F(WrongCurvature, Random) {
  EXPECT_GT(distance(from_dense(random_spd(M.size(0), 10, 612))), 0.1);
}

TEST_F(WrongCurvature, NotFinite) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(distance(nan * right)));
}

// ---- Size, precision, cost. ----

/// Convolution, pooling, and a linear layer, in float32.
struct ConvolutionalNet : ::testing::Test {
  ConvolutionalNet() { model->to(torch::kFloat); }

  torch::nn::Sequential model = [] {
    torch::manual_seed(5);
    return torch::nn::Sequential(torch::nn::Conv2d(1, 4, 3), torch::nn::ReLU(),
                                 torch::nn::MaxPool2d(2), torch::nn::Flatten(),
                                 torch::nn::Linear(36, 3));
  }();
  const Tensor x = randn({6, 1, 8, 8}, 621).to(torch::kFloat);
  Tensor forward() { return model->forward(x); }
  Equivalence report(const Tensor& loss) {
    return equivalence(LossGraph(loss, model->parameters()));
  }
};

TEST_F(ConvolutionalNet, IsComparedInFloat) {
  const auto y = torch::tensor({0, 1, 2, 1, 0, 2});
  const auto equal = report(F::cross_entropy(forward(), y));
  EXPECT_TRUE(equal.holds_for_every_target) << equal.message();
  EXPECT_LT(equal.distance.value(), kRoundingFloat);
  const auto robust = report(F::smooth_l1_loss(forward(), torch::ones({6, 3})));
  EXPECT_FALSE(robust.holds);
  EXPECT_GT(robust.distance.value(), 0.01);
}

int passes = 0;

/// x, whose backward counts its calls.
struct Counted : torch::autograd::Function<Counted> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x.clone(); }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext*,
                                               torch::autograd::tensor_list gradients) {
    ++passes;
    return {gradients[0].clone()};
  }
};

TEST(EquivalenceTest, AProbeTakesTwoPassesBackAndTwoProductsWithJ) {
  const SmallNetwork network{604, 8, 3};
  const auto count = [&](int64_t probes) {
    const auto z = Counted::apply(network.forward());
    const LossGraph graph(F::cross_entropy(z, network.labels), network.parameters);
    passes = 0;
    equivalence(graph, EquivalenceOptions().probes(probes));
    return passes;
  };
  EXPECT_EQ(count(5) - count(2), 3 * 2);  // J v goes through the derivative of this backward
}

TEST(EquivalenceTest, RemarksOnWhatBelongsToNeitherMatrix) {
  const SmallNetwork network{605, 4, 2};
  const auto loss = F::mse_loss(network.forward(), network.targets);
  const auto decay = network.parameters[0].square().sum();
  const auto report = equivalence(LossGraph(loss + decay, network.parameters));
  EXPECT_TRUE(report.holds);
  EXPECT_TRUE(says(report.message(), "penalties")) << report.message();
  const auto negative = equivalence(LossGraph(-loss, network.parameters));
  EXPECT_TRUE(says(negative.message(), "8 weights are negative")) << negative.message();
}

TEST(EquivalenceTest, LeavesTheLikelihoodsOutputsWithoutAGraph) {
  const SmallNetwork network{606, 4, 2};
  const LossGraph graph(F::cross_entropy(network.forward(), network.labels), network.parameters);
  equivalence(graph);
  EXPECT_FALSE(graph.terms()[0].likelihood->outputs().requires_grad());
}

TEST(EquivalenceTest, RefusesOptionsOutOfRange) {
  const auto graph = Heads().graph(false);
  expect_error([&] { equivalence(graph, EquivalenceOptions().probes(0)); }, "probes >= 1");
  expect_error([&] { equivalence(graph, EquivalenceOptions().draws(0)); }, "draws >= 1");
  expect_error([&] { equivalence(graph, EquivalenceOptions().tolerance(-1)); }, "tolerance >= 0");
}

}  // namespace
}  // namespace natgrad::testing::equivalence_test
