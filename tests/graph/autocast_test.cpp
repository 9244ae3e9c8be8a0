// Mixed precision: the forward pass in bfloat16 under autocast, parameters and loss in float32.

#include <ATen/autocast_mode.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/optim/natural_gradient.h>
#include "graph/loss_graph_state.h"

#include "support/graph_readings.h"

namespace natgrad::testing::autocast_test {
namespace {

namespace F = torch::nn::functional;

// bfloat16 keeps 8 bits, 4e-3; a few layers of it forward and back. Seen: 4e-3.
constexpr double kHalfPrecision = 3e-2;

class Autocast {
 public:
  Autocast() {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, torch::kBFloat16);
  }
  ~Autocast() {
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
};

struct MixedPrecision : ::testing::Test {
  MixedPrecision() { torch::manual_seed(4); }

  torch::nn::Sequential model{torch::nn::Linear(8, 16), torch::nn::Tanh(),
                              torch::nn::Linear(16, 5)};
  Tensor x = randn({32, 8}, 1).to(torch::kFloat);
  Tensor y = torch::arange(32) % 5;

  Tensor full_loss() { return F::cross_entropy(model->forward(x), y); }
  Tensor mixed_loss() {
    const Autocast autocast;
    return F::cross_entropy(model->forward(x), y);
  }
};

TEST_F(MixedPrecision, ProductsAgreeWithThoseOfFullPrecision) {
  const auto full = LossGraph(full_loss(), model->parameters());
  const auto mixed = LossGraph(mixed_loss(), model->parameters());
  const auto v = randn({full.parameters().size()}, 2).to(torch::kFloat);
  EXPECT_EQ(output_edges(mixed)[0].function->input_metadata(0).options().dtype(), torch::kFloat);
  EXPECT_LT(relative_error(mixed.gradient(), full.gradient()), kHalfPrecision);
  for (const auto curvature : {+[](const LossGraph& g) { return gauss_newton(g); },
                               +[](const LossGraph& g) { return fisher(g); }}) {
    const auto product = curvature(mixed).multiply(v);
    EXPECT_EQ(product.dtype(), torch::kFloat);
    EXPECT_LT(relative_error(product, curvature(full).multiply(v)), kHalfPrecision);
  }
}

TEST_F(MixedPrecision, Trains) {
  NaturalGradient optimizer(model->parameters());
  const double before = full_loss().item<double>();
  for (int i = 0; i < 10; ++i) {
    optimizer.step(mixed_loss());
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  }
  EXPECT_LT(full_loss().item<double>(), 0.8 * before);
}

TEST_F(MixedPrecision, OutputsInHalfPrecisionAreTakenAsTheyAre) {
  // mse_loss runs in float32 under autocast, so here the mark is put on bfloat16 outputs.
  Tensor loss;
  {
    const Autocast autocast;
    const auto z = model->forward(x);
    ASSERT_EQ(z.dtype(), torch::kBFloat16);
    loss = outputs(z).to(torch::kFloat).square().mean();
  }
  const LossGraph mixed(loss, model->parameters());
  const LossGraph full(outputs(model->forward(x)).square().mean(), model->parameters());
  const auto v = randn({full.parameters().size()}, 3).to(torch::kFloat);
  EXPECT_LT(relative_error(gauss_newton(mixed).multiply(v), gauss_newton(full).multiply(v)),
            kHalfPrecision);
}

}  // namespace
}  // namespace natgrad::testing::autocast_test
