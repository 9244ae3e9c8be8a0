// Losses of a difference whose two sides both require a gradient: z is the difference.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::difference_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-12;

struct DifferenceCase {
  std::string name;
  std::function<Tensor(const Tensor& a, const Tensor& b)> loss;
  std::function<Tensor(const Tensor& d)> reference;
  double fisher;  // of one pair, ÷ its weight
  double weight;
};

std::ostream& operator<<(std::ostream& out, const DifferenceCase& c) { return out << c.name; }

/// Two networks that share a trunk; one side also depends on the other.
struct Differences : ::testing::TestWithParam<DifferenceCase> {
  Network network = tanh_network();
  Tensor mixing = parameter({kOutputs, kOutputs}, 901);
  Tensor a = network.forward(), b = a.tanh().mm(mixing);
  std::vector<Tensor> parameters = with(network.parameters, mixing);
  Tensor j = jacobian(a - b, parameters);

  static std::vector<Tensor> with(std::vector<Tensor> all, const Tensor& one) {
    all.push_back(one);
    return all;
  }
};

TEST_P(Differences, GaussNewtonOfTheDifference) {
  const auto d = (a - b).detach().requires_grad_();
  const auto h = hessian(GetParam().reference(d), {d});
  const LossGraph graph(GetParam().loss(a, b), parameters);
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), j.t().mm(h).mm(j)), kRounding);
}

TEST_P(Differences, FisherOfTheDifference) {
  const LossGraph graph(GetParam().loss(a, b), parameters);
  const auto expected = GetParam().fisher * GetParam().weight * j.t().mm(j);
  EXPECT_LT(relative_error(dense(fisher(graph)), expected), kRounding);
}

TEST_P(Differences, GradientOfBothSides) {
  const auto loss = GetParam().loss(a, b);
  EXPECT_LT(relative_error(LossGraph(loss, parameters).gradient(), gradient_of(loss, parameters)),
            kRounding);
}

constexpr double kM = kExamples * kOutputs;

const std::vector<DifferenceCase> kDifferences = {
    {"Mse", [](auto& a, auto& b) { return F::mse_loss(a, b); },
     [](auto& d) { return d.pow(2).mean(); }, 1, 2 / kM},
    {"MseOfEach",
     [](auto& a, auto& b) {
       return 3 * F::mse_loss(a, b, F::MSELossFuncOptions(torch::kNone)).sum();
     },
     [](auto& d) { return 3 * d.pow(2).sum(); }, 1, 6},
    {"Huber", [](auto& a, auto& b) { return F::huber_loss(a, b); },
     [](auto& d) { return torch::where(d.abs() <= 1, d.pow(2) / 2, d.abs() - 0.5).mean(); },
     huber(1)
         .fisher(torch::zeros({1}, torch::kDouble), torch::ones({1}, torch::kDouble))
         .item<double>(),
     1 / kM},
    {"L1", [](auto& a, auto& b) { return F::l1_loss(a, b); },
     [](auto& d) { return d.abs().mean(); }, 1, 1 / kM},
};

INSTANTIATE_TEST_SUITE_P(Cases, Differences, ::testing::ValuesIn(kDifferences), ByName());

TEST(DifferenceTest, OfTwoShapesIsRefused) {
  const auto a = parameter({kExamples, 3}, 1), b = parameter({kExamples, 1}, 2);
  expect_error_naming(
      [&] {
        LossGraph(at::mse_loss(a, b), {a, b});
      },
      {"broadcast its arguments", "detach", "expand_as"});
}

TEST(DifferenceTest, L1OfABroadcastColumnIsRefused) {
  const auto z = parameter({kExamples, 1}, 1);
  expect_error([&] { LossGraph(at::l1_loss(z, randn({kExamples}, 2)), {z}); }, "same shape");
}

}  // namespace
}  // namespace natgrad::testing::difference_test
