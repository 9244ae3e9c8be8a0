// AdaptiveLogSoftmaxWithLoss is a sum of softmax terms: the head's over all examples, each tail's
// over the examples whose label lies in its cluster. (In C++ the module's `.loss` is a plain
// number: the loss is -output.mean().)

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::adaptive_softmax_test {
namespace {

constexpr double kRounding = 1e-12;

struct AdaptiveSoftmax : ::testing::Test {
  AdaptiveSoftmax() {
    torch::manual_seed(7);
    layer = torch::nn::AdaptiveLogSoftmaxWithLoss(
        torch::nn::AdaptiveLogSoftmaxWithLossOptions(6, 12, {3, 7}).div_value(2));
    layer->to(torch::kDouble);
    // With the tails' projections held fixed, every logit is linear in the parameters: then
    // Gauss-Newton is the Hessian.
    for (const auto& p : layer->named_parameters()) {
      const bool projection =
          p.key().find("tail") == 0 && p.key().find(".0.weight") != p.key().npos;
      p.value().requires_grad_(!projection);
      if (!projection) parameters.push_back(p.value());
    }
  }

  Tensor loss_of(const Tensor& y) { return -layer->forward(x, y).output.mean(); }

  torch::nn::AdaptiveLogSoftmaxWithLoss layer{nullptr};
  std::vector<Tensor> parameters;
  Tensor x = randn({9, 6}, 1);
  Tensor y = torch::tensor({0, 1, 2, 3, 5, 6, 7, 9, 11});
};

TEST_F(AdaptiveSoftmax, IsReadAsOneTermForTheHeadAndOneForEachTail) {
  const LossGraph graph(loss_of(y), parameters);
  EXPECT_EQ(graph.terms().size(), 3u);
  const auto h = hessian(loss_of(y), parameters);
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), h), kRounding);
  EXPECT_LT(relative_error(dense(fisher(graph)), h), kRounding);
}

TEST_F(AdaptiveSoftmax, TailsWithoutALabelAreLeftOut) {
  const auto few = torch::tensor({0, 1, 2, 0, 1, 2, 0, 3, 4});
  const LossGraph graph(loss_of(few), parameters);
  EXPECT_EQ(graph.terms().size(), 2u);
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), hessian(loss_of(few), parameters)),
            kRounding);
}

}  // namespace
}  // namespace natgrad::testing::adaptive_softmax_test
