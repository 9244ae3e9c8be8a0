#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>
#include "optim/trainable.h"

#include <sstream>

#include "support/oracles.h"

namespace natgrad::testing::checkpoint_test {
namespace {

namespace F = torch::nn::functional;

/// A small classifier and its optimizer, from one start.
struct Continued {
  explicit Continued(NaturalGradientOptions options = {}, int64_t hidden = 4)
      : above(randn({3, hidden}, 1).requires_grad_()),
        below(randn({hidden, 5}, 2).requires_grad_()),
        optimizer({above, below}, std::move(options)) {}
  void train(int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
      const auto x = randn({8, 5}, 100 + k);
      optimizer.step(F::cross_entropy(x.mm(below.t()).tanh().mm(above.t()), labels));
    }
  }
  const Tensor labels = torch::tensor({0, 1, 2, 0, 1, 2, 0, 1});
  Tensor above, below;
  NaturalGradient optimizer;
};

std::string saved(const torch::optim::Optimizer& optimizer) {
  std::ostringstream stream;
  torch::save(optimizer, stream);
  return stream.str();
}

void load(torch::optim::Optimizer& optimizer, const std::string& bytes) {
  std::istringstream stream(bytes);
  torch::load(optimizer, stream);
}

void copy_parameters(const Continued& from, Continued& to) {
  const torch::NoGradGuard no_grad;
  to.above.copy_(from.above);
  to.below.copy_(from.below);
}

TEST(CheckpointTest, ARunContinuesToTheBit) {
  Continued straight, first, second;
  straight.train(0, 9);
  first.train(0, 4);
  copy_parameters(first, second);
  load(second.optimizer, saved(first.optimizer));
  second.train(4, 9);
  EXPECT_TRUE(torch::equal(second.above, straight.above));
  EXPECT_TRUE(torch::equal(second.below, straight.below));
  EXPECT_EQ(second.optimizer.summary().lambda, straight.optimizer.summary().lambda);
  EXPECT_EQ(second.optimizer.summary().step, 9);
}

// HeldOutRate's mean of the iterates matters from its fiftieth step on.
TEST(CheckpointTest, TheRulesMemoryContinuesToTheBit) {
  constexpr int64_t kSaved = 55, kEnd = 70;
  Continued straight, first, second;
  straight.train(0, kEnd);
  first.train(0, kSaved);
  copy_parameters(first, second);
  load(second.optimizer, saved(first.optimizer));
  EXPECT_EQ(saved(second.optimizer).size(), saved(first.optimizer).size());
  second.train(kSaved, kEnd);
  EXPECT_TRUE(torch::equal(second.above, straight.above));
  EXPECT_TRUE(torch::equal(second.below, straight.below));
}

TEST(CheckpointTest, BeforeTheFirstStepThereIsNothingToLose) {
  Continued straight, first, second;
  load(second.optimizer, saved(first.optimizer));
  straight.train(0, 3);
  second.train(0, 3);
  EXPECT_TRUE(torch::equal(second.above, straight.above));
}

TEST(CheckpointTest, RatesOverrideThePresentOnes) {
  Continued first(NaturalGradientOptions().lr(0.5).weight_decay(0.25)), second;
  load(second.optimizer, saved(first.optimizer));
  const auto& options = options_of(second.optimizer.param_groups()[0]);
  EXPECT_EQ(options.lr(), 0.5);
  EXPECT_EQ(options.weight_decay(), 0.25);
}

TEST(CheckpointTest, WhatIsFrozenMayChangeOnTheWay) {
  for (const bool frozen_first : {false, true}) {
    SCOPED_TRACE(frozen_first);
    Continued straight, first, second;
    const auto freeze = [&](Continued& run, bool frozen) { run.above.requires_grad_(!frozen); };
    for (auto* run : {&straight, &first}) {
      freeze(*run, frozen_first);
      run->train(0, 4);
    }
    copy_parameters(first, second);
    for (auto* run : {&straight, &second}) freeze(*run, !frozen_first);
    load(second.optimizer, saved(first.optimizer));
    straight.train(4, 7);
    second.train(4, 7);
    EXPECT_TRUE(torch::equal(second.above, straight.above));
    EXPECT_TRUE(torch::equal(second.below, straight.below));
  }
}

TEST(CheckpointTest, ParametersMayBeAddedBeforeLoading) {
  Continued straight, first;
  straight.train(0, 6);
  first.train(0, 3);
  Continued second;
  copy_parameters(first, second);
  NaturalGradient rebuilt({second.above});
  static_cast<torch::optim::Optimizer&>(rebuilt).add_parameters({second.below});
  load(rebuilt, saved(first.optimizer));
  second.optimizer = std::move(rebuilt);
  second.train(3, 6);
  EXPECT_TRUE(torch::equal(second.above, straight.above));
}

// A rejected step forgets δ_prev, but the step before it can be taken back: after loading too.
TEST(CheckpointTest, AStepWhoseDeltaIsForgottenCanStillBeTakenBack) {
  const NaturalGradientOptions options = NaturalGradientOptions().damping(LevenbergMarquardt());
  Continued first(options), second(options);
  const auto x = randn({8, 5}, 100);
  // `factor` holds at these parameters, `rise` is added at others.
  const auto step = [&](Continued& run, double factor, double rise) {
    const auto here = run.above.detach().clone();
    run.optimizer.step([&] {
      const auto h = F::cross_entropy(x.mm(run.below.t()).tanh().mm(run.above.t()), run.labels);
      return torch::equal(run.above, here) ? factor * h : h + rise;
    });
    return run.optimizer.summary().outcome;
  };
  const auto start = first.above.detach().clone();
  ASSERT_EQ(step(first, 1, 0), StepOutcome::Accepted);
  ASSERT_EQ(step(first, 1, 10), StepOutcome::Rejected);
  copy_parameters(first, second);
  load(second.optimizer, saved(first.optimizer));
  for (auto* run : {&first, &second}) {
    EXPECT_EQ(step(*run, HUGE_VAL, 0), StepOutcome::NonFiniteLoss);
    EXPECT_TRUE(run->optimizer.summary().restored);
    EXPECT_TRUE(torch::equal(run->above, start));
  }
}

TEST(CheckpointTest, AnArchiveOfAnotherModelThrowsAndChangesNothing) {
  Continued straight, other({}, 6), second;
  other.train(0, 3);
  straight.train(0, 3);
  second.train(0, 2);
  expect_error([&] { load(second.optimizer, saved(other.optimizer)); }, "other shapes");
  second.train(2, 3);
  EXPECT_TRUE(torch::equal(second.above, straight.above));
}

TEST(CheckpointTest, AnArchiveOfAnotherOptimizerThrows) {
  Continued run;
  torch::optim::Adam adam({run.above, run.below});
  expect_error([&] { load(run.optimizer, saved(adam)); }, "natgrad_version");
}

TEST(CheckpointTest, AnArchiveOfAnotherDampingThrows) {
  Continued proximal, tikhonov(NaturalGradientOptions().damping(Tikhonov(0.1)));
  proximal.train(0, 2);
  expect_error([&] { load(tikhonov.optimizer, saved(proximal.optimizer)); }, "Tikhonov(0.1)");
}

// The states of both are one number.
TEST(CheckpointTest, AnotherPartsStateOfEqualLengthThrowsAndChangesNothing) {
  const auto exact = [] { return NaturalGradientOptions(0.1).curvature(FisherOrGaussNewton()); };
  Continued adaptive(exact().damping(Tikhonov(0.1)).step_rule(AdaptiveRate()));
  Continued inverse(exact().damping(Tikhonov(0.1)).step_rule(InverseTime(1)));
  inverse.train(0, 2);
  const auto before = saved(inverse.optimizer);
  expect_error([&] { load(inverse.optimizer, saved(adaptive.optimizer)); },
               "whose step_rule is AdaptiveRate(");
  EXPECT_EQ(saved(inverse.optimizer), before);
}

TEST(CheckpointTest, AnotherSettingOfAnyPartThrows) {
  const auto base = [] { return NaturalGradientOptions(0.1).curvature(FisherOrGaussNewton()); };
  const auto iterative = [] { return ConjugateGradient().max_iterations(20); };
  Continued plain(base().solver(iterative()).damping(Tikhonov(0.1)));
  const std::vector<std::pair<const char*, NaturalGradientOptions>> others = {
      {"curvature", base().solver(iterative()).damping(Tikhonov(0.1)).curvature(GaussNewton())},
      {"solver", base().solver(iterative().max_iterations(21)).damping(Tikhonov(0.1))},
      {"damping", base().solver(iterative()).damping(Tikhonov(0.2))},
      {"damping_matrix",
       base().solver(iterative()).damping(Tikhonov(0.1)).damping_matrix(MarquardtDiagonal())},
      {"preconditioner",
       base().solver(iterative()).damping(Tikhonov(0.1)).preconditioner(LowRank())},
      {"step_rule", base().solver(iterative()).damping(Tikhonov(0.1)).step_rule(AdaptiveRate())},
      {"maximize", base().solver(iterative()).damping(Tikhonov(0.1)).maximize(true)}};
  for (const auto& [part, options] : others) {
    Continued other(options);
    expect_error([&] { load(other.optimizer, saved(plain.optimizer)); },
                 std::string("whose ") + part + " is ");
  }
}

// The way out that the error names.
TEST(CheckpointTest, WithOtherSettingsTheModelAloneGoesOn) {
  Continued first, second(NaturalGradientOptions().damping(Proximal().momentum(0.5)));
  first.train(0, 3);
  copy_parameters(first, second);
  second.train(3, 6);
  EXPECT_EQ(second.optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_EQ(second.optimizer.summary().step, 3);
}

TEST(CheckpointTest, OtherGroupsThrow) {
  Continued run;
  using Groups = std::vector<torch::optim::OptimizerParamGroup>;
  const auto third = torch::zeros({2}, torch::kDouble).requires_grad_();
  const auto group = [](std::vector<Tensor> parameters) {
    return torch::optim::OptimizerParamGroup(std::move(parameters));
  };
  NaturalGradient one(Groups{group({run.above}), group({run.below, third})});
  NaturalGradient other(Groups{group({run.above, run.below}), group({third})});
  expect_error([&] { load(other, saved(one)); }, "groups of other parameters");
  NaturalGradient fewer({run.above, run.below, third});
  expect_error([&] { load(fewer, saved(one)); }, "2 parameter groups");
}

TEST(CheckpointTest, AnotherDtypeThrowsBeforeTheFirstStepToo) {
  Continued run;
  NaturalGradient single({run.above.detach().to(torch::kFloat).requires_grad_(),
                          run.below.detach().to(torch::kFloat).requires_grad_()});
  expect_error([&] { load(single, saved(run.optimizer)); }, "holds Double");
}

TEST(CheckpointTest, AnotherVersionThrows) {
  Continued run;
  torch::serialize::OutputArchive written;
  run.optimizer.save(written);
  for (const int64_t version : {3, 6}) {
    torch::serialize::OutputArchive other;
    other.write("natgrad_version", torch::tensor(version), /*is_buffer=*/true);
    std::stringstream stream;
    other.save_to(stream);
    expect_error([&] { torch::load(run.optimizer, stream); }, "this library reads 4 to 5");
  }
}

TEST(CheckpointTest, SavingAndLoadingWithinAStepThrow) {
  Continued run;
  const auto bytes = saved(run.optimizer);
  const auto within = [&](auto work) {
    return [&run, work] {
      run.optimizer.step([&] {
        work();
        return run.above.sum() + run.below.sum();
      });
    };
  };
  expect_error(within([&] { saved(run.optimizer); }), "save between steps");
  expect_error(within([&] { load(run.optimizer, bytes); }), "load between steps");
}

TEST(CheckpointTest, ATruncatedArchiveThrowsAndChangesNothing) {
  Continued straight, second;
  straight.train(0, 3);
  second.train(0, 2);
  const auto bytes = saved(second.optimizer);
  EXPECT_THROW(load(second.optimizer, bytes.substr(0, bytes.size() / 2)), c10::Error);
  second.train(2, 3);
  EXPECT_TRUE(torch::equal(second.above, straight.above));
}

}  // namespace
}  // namespace natgrad::testing::checkpoint_test
