#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include "support/dense_oracles.h"
#include "support/graph_readings.h"
#include "support/losses.h"

namespace natgrad::testing::loss_graph_test {
namespace {

// A few dozen sums of numbers near one, in double.
constexpr double kRounding = 1e-13;
// Second derivatives of the losses' own nodes, which cancel a digit or two more.
constexpr double kHessianRounding = 1e-12;

/// The loss alone: its outputs are leaves and the parameters at once.
struct Reading : ::testing::TestWithParam<LossCase> {
  Outputs z = leaf_outputs(GetParam(), 500);
  Tensor loss = GetParam().loss(z);
  LossGraph graph = LossGraph(loss, z);
};

TEST_P(Reading, ReferenceIsTheSameLoss) {
  EXPECT_LT(relative_error(loss, GetParam().reference(z)), kRounding);
}

TEST_P(Reading, FindsEachOutputOnce) {
  EXPECT_EQ(graph.outputs(), z.size());
  for (const auto& output : z) EXPECT_NO_THROW(output_of(graph, output));
}

// The first dimension that does not hold the classes: none, of one example; or the second.
TEST_P(Reading, CountsTheExamples) {
  const bool one = GetParam().name == "CrossEntropyUnbatched";
  const bool second = GetParam().name == "LogSoftmaxOfFirstDimension";
  EXPECT_EQ(graph.examples(), one ? 1 : z[0].size(second ? 1 : 0));
}

TEST_P(Reading, HessianInTheOutputs) {
  const auto expected = hessian(GetParam().reference(z), z);
  EXPECT_LT(relative_error(dense_loss_hessian(graph, z), expected), kHessianRounding);
}

TEST_P(Reading, HessianProductsAreRepeatable) {
  const auto first = dense_loss_hessian(graph, z);
  EXPECT_TRUE(identical(dense_loss_hessian(graph, z), first));
}

TEST_P(Reading, GradientOfTheLoss) {
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(GetParam().reference(z), z)), kRounding);
}

TEST_P(Reading, GradientsOfTheTermsAddUp) {
  const auto expected = gradient_of(GetParam().reference(z), z);
  EXPECT_LT(relative_error(term_gradients(graph, z), expected), kRounding);
}

TEST_P(Reading, LeavesTheGraphAndGradToTheUser) {
  const auto gradient = graph.gradient();
  for (const auto& output : z) EXPECT_FALSE(output.grad().defined());
  loss.backward();
  std::vector<Tensor> gradients;
  for (const auto& output : z) gradients.push_back(output.grad());
  EXPECT_LT(relative_error(gradient, flat(gradients)), kRounding);
}

TEST_P(Reading, ScalesWithTheLoss) {
  constexpr double kScale = 128;  // a power of two: exact
  const LossGraph scaled(kScale * loss, z);
  EXPECT_TRUE(identical(scaled.gradient(), kScale * graph.gradient()));
  EXPECT_LT(relative_error(dense_loss_hessian(scaled, z), kScale * dense_loss_hessian(graph, z)),
            kHessianRounding);
}

INSTANTIATE_TEST_SUITE_P(Losses, Reading, ::testing::ValuesIn(losses()), ByName());

struct ReadingOfLikelihoods : Reading {};

TEST_P(ReadingOfLikelihoods, WeightsOfTheExamples) {
  for (const auto& term : GetParam().terms) {
    const auto& output = z[term.output];
    const auto expected = term.weights.expand_as(output);
    EXPECT_LT(relative_error(weights_of(graph, output, term.family), expected), kRounding)
        << term.family.name << " at output " << term.output;
  }
}

TEST_P(ReadingOfLikelihoods, EachTermHasOne) {
  for (const auto& term : graph.terms()) EXPECT_NE(term.likelihood, nullptr);
  EXPECT_EQ(graph.terms().size(), GetParam().terms.size());
}

TEST_P(ReadingOfLikelihoods, FisherMatrixOfTheOutputs) {
  std::vector<Tensor> blocks;
  for (const auto& output : z) {
    const size_t place = output_of(graph, output);
    const auto multiply = [&](const Tensor& v) {
      auto product = torch::zeros_like(output).detach();
      for (const auto& term : graph.terms()) {
        if (term.output != place) continue;
        product = product + term.weights * term.likelihood->fisher_multiply(v.view(output.sizes()));
      }
      return product.detach();
    };
    blocks.push_back(matrix_of(multiply, output.numel()));
  }
  const auto expected = closed_form_fisher(GetParam(), z);
  EXPECT_LT(relative_error(block_diagonal(blocks), expected), kHessianRounding);
}

INSTANTIATE_TEST_SUITE_P(Losses, ReadingOfLikelihoods, ::testing::ValuesIn(likelihood_losses()),
                         ByName());

struct ReadingOfOwnLosses : Reading {};

TEST_P(ReadingOfOwnLosses, HasATermWithoutLikelihood) {
  int64_t own = 0;
  for (const auto& term : graph.terms()) own += term.likelihood == nullptr;
  EXPECT_GE(own, 1);
}

std::vector<LossCase> own_losses() {
  std::vector<LossCase> chosen;
  for (const auto& loss : losses()) {
    if (!loss.has_likelihood()) chosen.push_back(loss);
  }
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Losses, ReadingOfOwnLosses, ::testing::ValuesIn(own_losses()), ByName());

TEST(LossGraphTest, IsAValueWhoseCopiesShareTheGraph) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const LossGraph copy = problem.graph;
  EXPECT_EQ(&linearization_of(copy), &linearization_of(problem.graph));
  EXPECT_TRUE(identical(copy.gradient(), problem.graph.gradient()));
}

TEST(LossGraphTest, TheSeedDoesNotChangeWhatIsRead) {
  const auto problem = make_problem(loss_named("HeadsOfTwoFamilies"));
  const LossGraph other(problem.loss, problem.network.parameters, seeded(17));
  EXPECT_TRUE(identical(other.gradient(), problem.graph.gradient()));
  EXPECT_TRUE(identical(dense_loss_hessian(other, problem.outputs),
                        dense_loss_hessian(problem.graph, problem.outputs)));
}

TEST(LossGraphTest, GradientIsZeroForUnusedParameters) {
  const auto network = tanh_network();
  auto parameters = network.parameters;
  parameters.push_back(parameter({3}, 1));
  const auto loss = loss_named("CrossEntropyMean").loss({network.forward()});
  const LossGraph graph(loss, parameters);
  const auto of_unused = graph.gradient().narrow(0, graph.gradient().numel() - 3, 3);
  EXPECT_TRUE(identical(of_unused, torch::zeros({3}, torch::kDouble)));
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, parameters)), kRounding);
}

/// How often a gradient passes it.
struct Counted : torch::autograd::Function<Counted> {
  static inline int64_t passes = 0;
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x.clone(); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    ++passes;
    return gradients;
  }
};

TEST(LossGraphTest, GradientIsOnePassThroughTheNetworkWhenFirstAskedFor) {
  const auto x = parameter({4, 3}, 1);
  const auto z = Counted::apply(x.tanh());
  Counted::passes = 0;
  const auto loss = torch::mse_loss(z, randn({4, 3}, 2));
  const LossGraph graph(loss, {x}), copy = graph;
  EXPECT_EQ(Counted::passes, 0);
  EXPECT_TRUE(identical(graph.gradient(), copy.gradient()));
  EXPECT_EQ(Counted::passes, 1);
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, {x})), kRounding);
}

TEST(LossGraphTest, GradientIsThatOfTheForwardPassOrThrows) {
  const auto w = parameter({3, 2}, 1);
  const auto z = randn({4, 3}, 2).mm(w).tanh();
  const auto loss = z.square().mean();
  const auto expected = gradient_of(loss, {w});
  const LossGraph graph(loss, {w}, Terms::WhenAsked);
  {
    const torch::NoGradGuard no_grad;
    w.mul_(2);  // what a step does
  }
  EXPECT_TRUE(identical(graph.gradient(), expected));  // nothing of w is needed
  const LossGraph squared(w.square().sum(), {w}, Terms::WhenAsked);
  {
    const torch::NoGradGuard no_grad;
    w.mul_(2);
  }
  expect_error([&] { squared.gradient(); }, "changed in place");
}

TEST(LossGraphTest, FreedGraphThrowsAtTheGradient) {
  const auto w = parameter({3, 2}, 1);
  const auto loss = natgrad::outputs(randn({4, 3}, 2).mm(w).tanh()).sum();
  loss.backward();
  expect_error_naming([&] { LossGraph(loss, {w}).gradient(); },
                      {"freed", "loss.backward()", "retain_graph"});
}

// A curvature of one's own, from the public products alone.
TEST(LossGraphTest, ItsProductsMakeTheGaussNewtonMatrix) {
  const auto problem = make_problem(loss_named("HeadsOfTwoFamilies"));
  const auto& graph = problem.graph;
  const auto v = randn({problem.size()}, 3);
  const auto jv = graph.multiply_jacobian(v);
  const auto Gv = graph.multiply_jacobian_transposed(graph.multiply_loss_hessian(jv));
  EXPECT_LT(relative_error(Gv, gauss_newton(graph).multiply(v)), kRounding);
  EXPECT_EQ(jv.size(), graph.outputs());
  EXPECT_NO_THROW(graph.verify());
}

TEST(LossGraphTest, ALossThatCannotBeReadSaysSoEachTimeItsTermsAreAskedFor) {
  const auto w = parameter({3, 2}, 1);
  const LossGraph graph(randn({4, 3}, 2).mm(w).cosh().log().mean(), {w}, Terms::WhenAsked);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(graph.is_readable());
    expect_error([&] { graph.terms(); }, "cannot read this loss");
    expect_error([&] { graph.multiply_jacobian(w.flatten()); }, "cannot read this loss");
  }
  EXPECT_TRUE(graph.gradient().defined());
}

/// An op for whose gradient the memory does not suffice.
struct OutOfMemory : torch::autograd::Function<OutOfMemory> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x.clone(); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list&) {
    C10_THROW_ERROR(OutOfMemoryError, "no memory left");
  }
};

TEST(LossGraphTest, MemoryThatHasRunOutIsNoPropertyOfTheLoss) {
  const auto w = parameter({3, 2}, 1);
  const auto loss = OutOfMemory::apply(torch::mse_loss(randn({4, 3}, 2).mm(w), randn({4, 2}, 3)));
  const LossGraph graph(loss, {w}, Terms::WhenAsked);
  EXPECT_THROW(graph.is_readable(), c10::OutOfMemoryError);
  EXPECT_THROW(graph.terms(), c10::OutOfMemoryError);
}

TEST(LossGraphTest, NoDrawDependsOnWhoAskedFirst) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto fresh = [&] { return LossGraph(problem.loss, problem.network.parameters); };
  const auto one = fresh(), other = fresh();
  const auto sampled = [](const LossGraph& graph) { return MonteCarloFisher(2).at(graph).matrix; };
  const auto noise = [](const LossGraph& graph) {
    return gradient_noise(graph, graph.generator(Purpose::Noise));
  };
  const auto v = randn({problem.size()}, 3);
  const auto first = sampled(one).multiply(v), second = noise(one);
  EXPECT_TRUE(identical(noise(other), second));
  EXPECT_TRUE(identical(sampled(other).multiply(v), first));
}

TEST(LossGraphTest, DoesNotDisturbTheUsersGenerator) {
  torch::manual_seed(5);
  const auto expected = torch::rand({3});
  torch::manual_seed(5);
  linearization_of(make_problem(loss_named("CrossEntropyMean")).graph);
  EXPECT_TRUE(identical(torch::rand({3}), expected));
}

}  // namespace
}  // namespace natgrad::testing::loss_graph_test
