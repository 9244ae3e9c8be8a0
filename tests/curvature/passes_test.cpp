// How often a step goes back through the network, counted by an op that lies in it.

#include <natgrad/curvature/curvature.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/curvature_options.h"
#include "support/oracles.h"

namespace natgrad::testing::passes_test {
namespace {

namespace F = torch::nn::functional;

// Of sums in double.
constexpr double kRounding = 1e-12;

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

/// 3-4-3 with tanh on six examples; a focal loss is one that cannot be read.
struct Network {
  std::vector<Tensor> parameters = {
      randn({4, 3}, 1).requires_grad_(), randn({4}, 2).requires_grad_(),
      randn({3, 4}, 3).requires_grad_(), randn({3}, 4).requires_grad_()};

  static constexpr int64_t kInputs = 6;

  Tensor loss(bool focal) const {
    const auto hidden = F::linear(randn({kInputs, 3}, 5), parameters[0], parameters[1]).tanh();
    const auto z = F::linear(Counted::apply(hidden), parameters[2], parameters[3]);
    const auto each = F::cross_entropy(z, torch::tensor({0, 1, 2, 1, 0, 2}),
                                       F::CrossEntropyFuncOptions().reduction(torch::kNone));
    return (focal ? (1 - (-each).exp()).pow(2) * each : each).mean();
  }
  LossGraph graph(bool focal) const {
    return LossGraph(loss(focal), parameters, make_generator(1), Terms::WhenAsked);
  }
};

/// Backward passes through the network.
struct Passes {
  int matrix, noise;
  bool operator==(const Passes&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Passes& p) {
  return out << p.matrix << " for the matrix, " << p.noise << " for the noise";
}

Passes passes_of(const Curvature& curvature, bool focal) {
  const auto graph = Network().graph(focal);
  graph.gradient();
  passes = 0;
  const auto C = curvature.at(graph);
  const int matrix = std::exchange(passes, 0);
  C.noise(make_generator(2));
  return {matrix, passes};
}

struct PassesOfEach : ::testing::TestWithParam<CurvatureOption> {};

// Of the matrix's own rows it costs nothing, else one product: nothing is built a second time.
TEST_P(PassesOfEach, TheNoiseTakesOneAtMost) {
  EXPECT_LE(passes_of(*GetParam().curvature, false).noise, 1);
}

INSTANTIATE_TEST_SUITE_P(Curvatures, PassesOfEach, ::testing::ValuesIn(curvature_options()),
                         ByName());

TEST(PassesTest, OfAHessianAreOneForEach) {
  EXPECT_EQ(passes_of(Hessian(), false), (Passes{1, 1}));
}

// Layers' inputs and output gradients, scaled by the examples' numbers, and where the loss cannot
// be read, those that tell the examples.
TEST(PassesTest, ExamplesGradientsAreFormedOnce) {
  EXPECT_EQ(passes_of(Tonga(), false), (Passes{2, 0}));
  EXPECT_EQ(passes_of(Tonga(), true), (Passes{3, 0}));
  EXPECT_EQ(passes_of(EmpiricalFisher(), true), (Passes{3, 0}));
}

/// A curvature of a user's own, 2I, which counts how often it is asked.
struct Own final : Curvature {
  explicit Own(int& asked_count) : asked(asked_count) {}
  CurvatureAt at(const LossGraph& graph) const override {
    ++asked;
    const auto& parameters = graph.parameters();
    return {graph, diagonal_operator(torch::full({parameters.size()}, 2., parameters.options()))};
  }
  std::string describe() const override { return "Own()"; }
  std::shared_ptr<const Curvature> clone() const override { return std::make_shared<Own>(*this); }
  int& asked;
};

// tr(2I)/N is λ, and the step -(2 + λ)⁻¹ ∇h.
TEST(OwnCurvatureTest, IsAskedOnceAStepForMatrixAndNoise) {
  const Network network;
  const ParameterLayout layout(network.parameters);
  const auto before = layout.values();
  const auto gradient = network.graph(false).gradient();
  int asked = 0;
  NaturalGradient optimizer(network.parameters, NaturalGradientOptions(1).curvature(Own(asked)));
  optimizer.step(network.loss(false));
  EXPECT_EQ(asked, 1);
  const double lambda = 2 * static_cast<double>(layout.size()) / Network::kInputs;
  EXPECT_NEAR(optimizer.summary().lambda, lambda, kRounding * lambda);
  EXPECT_LT(relative_error(layout.values() - before, -gradient / (2 + lambda)), kRounding);
}

// D = 2I: λ counts twice, and the noise is not D's.
TEST(OwnCurvatureTest, IsADampingMatrixToo) {
  const Network network;
  const ParameterLayout layout(network.parameters);
  const auto before = layout.values();
  const auto gradient = network.graph(false).gradient();
  int asked = 0;
  NaturalGradient optimizer(network.parameters,
                            NaturalGradientOptions(1)
                                .curvature(ParameterScales())
                                .damping(Tikhonov(0.5))
                                .damping_matrix(Own(asked))
                                .solver(ConjugateGradient().tolerance(kRounding)));
  optimizer.step(network.loss(false));
  EXPECT_EQ(asked, 1);
  EXPECT_LT(relative_error(layout.values() - before, -gradient / 2), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::passes_test
