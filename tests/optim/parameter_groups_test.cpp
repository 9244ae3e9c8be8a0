// Parameter groups of NaturalGradient, and LibTorch's learning-rate schedulers on them.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::parameter_groups_test {
namespace {

namespace F = torch::nn::functional;
using torch::optim::OptimizerParamGroup;

constexpr double kSolve = 1e-10;  // CG to 1e-14, condition below 1e3
constexpr double kLambda = 0.1;

NaturalGradientOptions system_options() {
  return NaturalGradientOptions(1)
      .curvature(FisherOrGaussNewton())
      .damping(Tikhonov(kLambda))
      .solver(tight_solver());
}

OptimizerParamGroup group(std::vector<Tensor> parameters, const NaturalGradientOptions& options) {
  return {std::move(parameters), std::make_unique<NaturalGradientOptions>(options)};
}

const NaturalGradientOptions& options_at(const NaturalGradient& optimizer, size_t i) {
  return dynamic_cast<const NaturalGradientOptions&>(optimizer.param_groups().at(i).options());
}

struct ParameterGroups : ::testing::Test {
  torch::nn::Sequential model = classifier();
  std::vector<Tensor> parameters = model->parameters();
  std::vector<Tensor> lower = {parameters[0], parameters[1]};
  std::vector<Tensor> upper = {parameters[2], parameters[3]};

  Tensor loss(int64_t k = 0) {
    return F::cross_entropy(model->forward(Training::inputs(k)), Training::labels(k));
  }

  /// One entry per scalar: `a` for the lower group, `b` for the upper one.
  Tensor spread(double a, double b) const {
    const auto full = [](const std::vector<Tensor>& part, double value) {
      return torch::full_like(flat(part).detach(), value);
    };
    return torch::cat({full(lower, a), full(upper, b)});
  }

  /// The parameters after one step with these rates and decays, by a direct solve.
  Tensor expected_step(const Tensor& rates, const Tensor& decays) {
    const auto z = model->forward(Training::inputs(0));
    const auto theta = flat(parameters).detach();
    const auto of_z = [](const Tensor& t) {
      const auto log_p = t - t.exp().sum(1, true).log();
      return -log_p.gather(1, Training::labels(0).unsqueeze(1)).mean();
    };
    const auto g = hessian_of_linearised_model(z, parameters, of_z);
    const auto gradient = gradient_of(of_z(z), parameters) + decays * theta;
    return theta - rates * torch::linalg_solve(g + (decays + kLambda).diag(), gradient);
  }
};

TEST_F(ParameterGroups, KeepTheirOwnRatesAndDecays) {
  NaturalGradient optimizer({group(lower, system_options().lr(0.5).weight_decay(0.3)),
                             group(upper, system_options().lr(0.25).weight_decay(0.02))},
                            system_options());
  EXPECT_EQ(options_at(optimizer, 0).lr(), 0.5);
  EXPECT_EQ(options_at(optimizer, 1).weight_decay(), 0.02);
  const auto expected = expected_step(spread(0.5, 0.25), spread(0.3, 0.02));
  optimizer.step(loss());
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

TEST_F(ParameterGroups, NeedNotRepeatTheSystem) {
  NaturalGradient optimizer(
      {group(lower, NaturalGradientOptions().lr(0.5)), OptimizerParamGroup(upper)},
      system_options());
  const auto expected = expected_step(spread(0.5, 1), spread(0, 0));
  optimizer.step(loss());
  EXPECT_EQ(optimizer.summary().lambda, kLambda);
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

// Whichever way a group says its rate, the optimizer's rule takes it.
TEST_F(ParameterGroups, MaySayTheirRateAlone) {
  const auto step_of = [](const NaturalGradientOptions& rate) {
    auto twin = classifier();
    const auto all = twin->parameters();
    NaturalGradient optimizer(
        {group({all[0], all[1]}, rate), OptimizerParamGroup({all[2], all[3]})});
    const auto before = flat(all).detach().clone();
    optimizer.step(F::cross_entropy(twin->forward(Training::inputs(0)), Training::labels(0)));
    return flat(all).detach() - before;
  };
  const auto expected = step_of({}) * spread(0.5, 1);
  EXPECT_LT(relative_error(step_of(NaturalGradientOptions().lr(0.05)), expected), kSolve);
  EXPECT_LT(relative_error(step_of(NaturalGradientOptions(0.05)), expected), kSolve);
}

TEST_F(ParameterGroups, WithoutOptionsTakeTheDefaults) {
  NaturalGradient optimizer({OptimizerParamGroup(lower), OptimizerParamGroup(upper)},
                            system_options().lr(0.75).weight_decay(0.1));
  const auto expected = expected_step(spread(0.75, 0.75), spread(0.1, 0.1));
  optimizer.step(loss());
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

TEST_F(ParameterGroups, WeightDecayIsPartOfTheObjective) {
  // Gradient wθ and curvature wI: for all parameters alike.
  NaturalGradient optimizer(parameters, system_options().weight_decay(0.2));
  const auto expected = expected_step(spread(1, 1), spread(0.2, 0.2));
  optimizer.step(loss());
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

TEST_F(ParameterGroups, WeightDecayIsHalfTheSquareAddedToTheLossByHand) {
  NaturalGradient optimizer(parameters, system_options().weight_decay(0.2));
  auto twin = classifier();
  NaturalGradient by_hand(twin->parameters(), system_options());
  for (int k = 0; k < 3; ++k) {
    optimizer.step(loss(k));
    auto h = F::cross_entropy(twin->forward(Training::inputs(k)), Training::labels(k));
    for (const auto& p : twin->parameters()) h = h + 0.5 * 0.2 * p.square().sum();
    by_hand.step(h);
    EXPECT_LT(relative_error(flat(parameters), flat(twin->parameters())), kSolve);
  }
}

TEST_F(ParameterGroups, SummaryLeavesWeightDecayOutOfTheLoss) {
  NaturalGradient optimizer(parameters, system_options().weight_decay(0.2));
  const double expected = loss().item<double>();
  optimizer.step(loss());
  EXPECT_EQ(optimizer.summary().loss, expected);
}

TEST_F(ParameterGroups, AddedLaterKeepTheirOwnRatesAndDecays) {
  NaturalGradient optimizer(lower, system_options().lr(0.5).weight_decay(0.3));
  optimizer.add_param_group(group(upper, system_options().lr(0.25).weight_decay(0.02)));
  const auto expected = expected_step(spread(0.5, 0.25), spread(0.3, 0.02));
  optimizer.step(loss());
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

TEST_F(ParameterGroups, AddedThroughTheBaseClassTakePart) {
  // LibTorch replaces their options by the defaults there; the step must still be sound.
  NaturalGradient optimizer(lower, system_options().lr(0.5));
  torch::optim::Optimizer& base = optimizer;
  base.add_param_group(group(upper, system_options().lr(0.25)));
  const auto expected = expected_step(spread(0.5, options_at(optimizer, 1).lr()), spread(0, 0));
  optimizer.step(loss());
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

TEST_F(ParameterGroups, AddedAfterStepsTakePart) {
  NaturalGradient optimizer(lower);
  for (int k = 0; k < 2; ++k) optimizer.step(loss(k));
  const auto before = upper[0].detach().clone();
  optimizer.add_param_group(OptimizerParamGroup(upper));
  optimizer.step(loss(2));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_FALSE(same_bits(upper[0], before));
}

TEST_F(ParameterGroups, ConflictingSystemsThrow) {
  const std::vector<NaturalGradientOptions> conflicts = {
      system_options().damping(Tikhonov(0.2)),
      system_options().curvature(Fisher()),
      system_options().solver(ConjugateGradient().max_iterations(7)),
      system_options().seed(5),
      system_options().maximize(true),
      system_options().fill_grad(true),
  };
  for (const auto& conflict : conflicts) {
    SCOPED_TRACE(conflict.describe_system());
    const auto build = [&] {
      NaturalGradient({OptimizerParamGroup(lower), group(upper, conflict)}, system_options());
    };
    expect_error(build, "lr and weight_decay");
    NaturalGradient optimizer(lower, system_options());
    expect_error([&] { optimizer.add_param_group(group(upper, conflict)); }, "lr and weight_decay");
  }
}

TEST_F(ParameterGroups, RejectedLaterGroupLeavesTheOptimizerUsable) {
  NaturalGradient optimizer(lower, system_options());
  const auto conflict = group(upper, system_options().damping(Tikhonov(0.2)));
  EXPECT_THROW(optimizer.add_param_group(conflict), c10::Error);
  EXPECT_EQ(optimizer.param_groups().size(), 1u);
  optimizer.add_param_group(group(upper, system_options().lr(0.5)));
  EXPECT_NO_THROW(optimizer.step(loss()));
}

TEST_F(ParameterGroups, OptionsOfAnotherOptimizerThrow) {
  const auto build = [&] {
    NaturalGradient({OptimizerParamGroup(lower, std::make_unique<torch::optim::AdamOptions>())});
  };
  expect_error(build, "NaturalGradientOptions");
}

TEST_F(ParameterGroups, OutOfRangeOptionsThrowAtConstruction) {
  expect_error([&] { NaturalGradient(parameters, NaturalGradientOptions(-1)); }, "lr");
  const auto build = [&] {
    NaturalGradient({group(lower, NaturalGradientOptions().weight_decay(-1))});
  };
  expect_error(build, "weight_decay");
}

TEST_F(ParameterGroups, RateSetToNaNLaterThrowsAndLeavesEverything) {
  NaturalGradient optimizer(parameters);
  optimizer.step(loss(0));
  const Snapshot before(parameters);
  optimizer.param_groups()[0].options().set_lr(std::nan(""));
  expect_error([&] { optimizer.step(loss(1)); }, "lr");
  before.expect_unchanged();
}

TEST_F(ParameterGroups, ARateOfZeroHoldsAGroupStill) {
  NaturalGradient optimizer({group(lower, NaturalGradientOptions(0)), OptimizerParamGroup(upper)});
  const auto before = flat(lower).detach().clone();
  optimizer.step(loss());
  EXPECT_TRUE(same_bits(flat(lower), before));
}

// ---- Schedulers. ----

/// The rates of the groups over the epochs of a schedule.
template <class Optimizer>
std::vector<double> scheduled_rates(Optimizer& optimizer) {
  torch::optim::StepLR scheduler(optimizer, /*step_size=*/2, /*gamma=*/0.5);
  std::vector<double> rates;
  for (int epoch = 0; epoch < 6; ++epoch) {
    for (const auto& group : optimizer.param_groups()) rates.push_back(group.options().get_lr());
    scheduler.step();
  }
  return rates;
}

TEST_F(ParameterGroups, StepLRDrivesTheRatesAsThoseOfLibTorchsOptimizers) {
  NaturalGradient optimizer(
      {group(lower, system_options().lr(0.8)), group(upper, system_options())}, system_options());
  torch::optim::SGD sgd(
      {OptimizerParamGroup(lower, std::make_unique<torch::optim::SGDOptions>(0.8)),
       OptimizerParamGroup(upper, std::make_unique<torch::optim::SGDOptions>(1))},
      torch::optim::SGDOptions(1));
  const auto rates = scheduled_rates(optimizer);
  EXPECT_EQ(rates, scheduled_rates(sgd));
  EXPECT_LT(rates.back(), rates.front());
}

TEST_F(ParameterGroups, StepsUseTheScheduledRate) {
  NaturalGradient optimizer(parameters, system_options().lr(0.8));
  torch::optim::StepLR scheduler(optimizer, /*step_size=*/1, /*gamma=*/0.25);
  while (options_at(optimizer, 0).lr() == 0.8) scheduler.step();
  const auto expected = expected_step(spread(0.2, 0.2), spread(0, 0));
  optimizer.step(loss());
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

TEST_F(ParameterGroups, ReduceLROnPlateauDrivesTheRate) {
  NaturalGradient optimizer(parameters, system_options().lr(0.8));
  torch::optim::ReduceLROnPlateauScheduler scheduler(
      optimizer, torch::optim::ReduceLROnPlateauScheduler::min, /*factor=*/0.5f, /*patience=*/1);
  for (int epoch = 0; epoch < 4; ++epoch) scheduler.step(1.0f);  // no progress
  EXPECT_DOUBLE_EQ(options_at(optimizer, 0).lr(), 0.4);
  const auto expected = expected_step(spread(0.4, 0.4), spread(0, 0));
  optimizer.step(loss());
  EXPECT_LT(relative_error(flat(parameters), expected), kSolve);
}

TEST_F(ParameterGroups, ReduceLROnPlateauDrivesEachGroupDownToItsFloor) {
  const auto rates_of = [](torch::optim::Optimizer& optimizer) {
    torch::optim::ReduceLROnPlateauScheduler scheduler(
        optimizer, torch::optim::ReduceLROnPlateauScheduler::max, /*factor=*/0.5f, /*patience=*/0,
        1e-4, torch::optim::ReduceLROnPlateauScheduler::rel, /*cooldown=*/0,
        /*min_lr=*/{0.3f, 0.01f});
    std::vector<double> rates;
    for (const float metric : {1.f, 2.f, 2.f, 2.f, 3.f, 2.f, 2.f, 2.f}) {
      scheduler.step(metric);
      for (const auto& group : optimizer.param_groups()) {
        rates.push_back(group.options().get_lr());
      }
    }
    return rates;
  };
  NaturalGradient optimizer(
      {group(lower, system_options().lr(0.8)), group(upper, system_options())}, system_options());
  torch::optim::SGD sgd(
      {OptimizerParamGroup(lower, std::make_unique<torch::optim::SGDOptions>(0.8)),
       OptimizerParamGroup(upper, std::make_unique<torch::optim::SGDOptions>(1))},
      torch::optim::SGDOptions(1));
  const auto rates = rates_of(optimizer);
  EXPECT_EQ(rates, rates_of(sgd));
  EXPECT_EQ(rates[rates.size() - 2], double(0.3f));
  EXPECT_EQ(rates.back(), 1. / 32);
}

}  // namespace
}  // namespace natgrad::testing::parameter_groups_test
