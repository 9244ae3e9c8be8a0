// Batch normalisation in training mode: whose statistics move, and when.

#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <torch/jit.h>
#include <torch/script.h>

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"
#include "support/warnings.h"

namespace natgrad::testing::buffers_test {
namespace {

namespace F = torch::nn::functional;

struct NormalisedNet : torch::nn::Module {
  torch::nn::Linear first{3, 6}, last{6, 4};
  torch::nn::BatchNorm1d norm{6};
  NormalisedNet() {
    register_module("first", first);
    register_module("norm", norm);
    register_module("last", last);
    to(torch::kDouble);
    const torch::NoGradGuard no_grad;
    uint64_t seed = 0;
    for (auto& p : parameters()) p.copy_(randn(p.sizes(), ++seed));
  }
  Tensor loss() {
    return F::cross_entropy(
        last->forward(torch::tanh(norm->forward(first->forward(Training::inputs(0))))),
        Training::labels(0));
  }
};

NaturalGradientOptions judged() {
  return NaturalGradientOptions(1).damping(LevenbergMarquardt().initial(1));
}

TEST(BuffersTest, TrialLossesSpareStatisticsThatNobodyNamed) {
  for (const auto& options : {judged(), presets::hessian_free()}) {
    NormalisedNet net, once;
    once.loss();
    NaturalGradient optimizer(net.parameters(), options);
    optimizer.step([&] { return net.loss(); });
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
    EXPECT_TRUE(same_bits(net.norm->running_mean, once.norm->running_mean));
    EXPECT_TRUE(same_bits(net.norm->running_var, once.norm->running_var));
  }
}

TEST(BuffersTest, ChunksMoveTheStatisticsOnceEach) {
  NormalisedNet net, twice;
  twice.loss();
  twice.loss();
  NaturalGradient optimizer(net.parameters());
  optimizer.step(2, [&](int64_t) { return net.loss(); });
  ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_TRUE(same_bits(net.norm->running_mean, twice.norm->running_mean));
}

TEST(BuffersTest, HessianFreeTrainsABatchNormalisedNet) {
  NormalisedNet net;
  Warnings warnings;
  NaturalGradient optimizer(net.parameters(), presets::hessian_free());
  const double start = net.loss().item<double>();
  for (int t = 0; t < 15; ++t) optimizer.step([&] { return net.loss(); });
  EXPECT_LT(net.loss().item<double>(), 0.2 * start);
  EXPECT_EQ(warnings.count("couples the examples"), 1);
}

// ---- A scripted module. ----

torch::jit::Module scripted() {
  torch::jit::Module module("net");
  const auto weight = randn({4, 3}, 5);
  module.register_parameter("weight", weight.clone().requires_grad_(), /*is_buffer=*/false);
  module.register_buffer("mean", torch::zeros({3}, torch::kDouble));
  module.register_attribute("training", c10::BoolType::get(), true);
  module.define(R"(
    def forward(self, x):
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.mean(0))
        return torch.matmul(x, self.weight.t())
  )");
  return module;
}

std::vector<Tensor> parameters_of(const torch::jit::Module& module) {
  std::vector<Tensor> parameters;
  for (const auto& p : module.parameters()) parameters.push_back(p);
  return parameters;
}

Tensor loss_of(torch::jit::Module& module) {
  return F::cross_entropy(module.forward({Training::inputs(0)}).toTensor(), Training::labels(0));
}

TEST(BuffersTest, OfAScriptedModuleMoveOnceAStep) {
  auto module = scripted(), once = scripted();
  loss_of(once);
  NaturalGradient optimizer(parameters_of(module), judged().module(module));
  optimizer.step([&] { return loss_of(module); });
  ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_TRUE(same_bits(module.attr("mean").toTensor(), once.attr("mean").toTensor()));
}

TEST(BuffersTest, AndModesOfAScriptedModuleArePutBackByAStepThatFails) {
  auto module = scripted();
  NaturalGradient optimizer(parameters_of(module), NaturalGradientOptions().module(module));
  EXPECT_THROW(optimizer.step([&]() -> Tensor {
    loss_of(module);
    module.eval();
    throw std::runtime_error("out of data");
  }),
               std::runtime_error);
  EXPECT_TRUE(module.is_training());
  EXPECT_TRUE(torch::equal(module.attr("mean").toTensor(), torch::zeros({3}, torch::kDouble)));
}

TEST(BuffersTest, TheOptionForAScriptedModuleIsPartOfTheSystem) {
  const auto module = scripted(), other = scripted();
  const auto with = [](const torch::jit::Module& m) { return NaturalGradientOptions().module(m); };
  EXPECT_TRUE(with(module).same_system(with(module)));
  EXPECT_FALSE(with(module).same_system(with(other)));
  EXPECT_FALSE(with(module).same_system(NaturalGradientOptions()));
}

}  // namespace
}  // namespace natgrad::testing::buffers_test
