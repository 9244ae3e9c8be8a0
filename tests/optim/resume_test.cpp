// A run that is stopped after any step and resumed, here or in another process, is the run that
// was not stopped, to the bit.

#include "optim/resume_cases.h"

#include <filesystem>
#include <sstream>

#include "support/oracles.h"
#include "support/temporary_folder.h"

namespace natgrad::testing::resume_test {
namespace {

constexpr int64_t kSteps = 7;

std::string case_name(const ::testing::TestParamInfo<ResumeCase>& info) { return info.param.first; }

class ResumeTest : public ::testing::TestWithParam<ResumeCase> {};

TEST_P(ResumeTest, AfterAnyStepTheRestIsTheSame) {
  const TemporaryFolder folder;
  const auto& [name, options] = GetParam();
  ResumeRun straight(options);
  straight.train(0, kSteps);
  for (int64_t stop = 0; stop < kSteps; ++stop) {
    ResumeRun first(options);
    first.train(0, stop);
    save_checkpoint(first.model, *first.optimizer, folder / "run");
    ResumeRun second(options);
    load_checkpoint(second.model, *second.optimizer, folder / "run");
    second.train(stop, kSteps);
    ASSERT_TRUE(identical(second.values(), straight.values())) << "stopped after " << stop;
    ASSERT_EQ(second.optimizer->summary().lambda, straight.optimizer->summary().lambda);
    ASSERT_EQ(second.optimizer->summary().step, straight.optimizer->summary().step);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ResumeTest, ::testing::ValuesIn(resume_cases()), case_name);

// torch::save and torch::load of model and optimizer, without the generators' states.
TEST(ResumeByTorchSaveTest, ContinuesToTheBit) {
  ResumeRun straight({}), first({}), second({});
  for (auto* run : {&straight, &first, &second}) run->model->eval();  // no dropout
  straight.train(0, 6);
  first.train(0, 4);
  std::stringstream of_model, of_optimizer;
  torch::save(first.model, of_model);
  torch::save(*first.optimizer, of_optimizer);
  torch::load(second.model, of_model);
  torch::load(*second.optimizer, of_optimizer);
  second.train(4, 6);
  EXPECT_TRUE(identical(second.values(), straight.values()));
}

TEST(ResumeInAFreshProcessTest, EveryCaseContinuesToTheBit) {
  const TemporaryFolder straight, stopped;
  const auto start = [](const TemporaryFolder& folder, int64_t first, int64_t last) {
    const auto command = std::string(NATGRAD_CHECKPOINT_PROCESS) + " train '" + folder.path() +
                         "' " + std::to_string(first) + " " + std::to_string(last);
    return std::system(command.c_str());
  };
  ASSERT_EQ(start(straight, 0, kSteps), 0);
  ASSERT_EQ(start(stopped, 0, 4), 0);
  ASSERT_EQ(start(stopped, 4, kSteps), 0);
  for (const auto& [name, options] : resume_cases()) {
    ResumeRun one(options), other(options);
    const auto file = name + "_" + std::to_string(kSteps);
    load_checkpoint(one.model, *one.optimizer, straight / file);
    const auto drawn = torch::rand({3});
    load_checkpoint(other.model, *other.optimizer, stopped / file);
    EXPECT_TRUE(identical(torch::rand({3}), drawn)) << name;
    EXPECT_TRUE(identical(one.values(), other.values())) << name;
    // Whatever one of them kept beyond the parameters shows in what follows.
    for (auto* run : {&one, &other}) {
      torch::manual_seed(5);
      run->train(kSteps, kSteps + 3);
    }
    EXPECT_TRUE(identical(one.values(), other.values())) << name;
  }
}

TEST(ResumeOfBatchNormTest, BuffersContinueToo) {
  const TemporaryFolder folder;
  ResumeRun straight({}, true), first({}, true);
  first.train(0, 3);
  save_checkpoint(first.model, *first.optimizer, folder / "run");
  torch::manual_seed(1);
  straight = ResumeRun({}, true);
  straight.train(0, 6);
  ResumeRun second({}, true);
  load_checkpoint(second.model, *second.optimizer, folder / "run");
  second.train(3, 6);
  EXPECT_TRUE(identical(second.values(), straight.values()));
}

// The user clips the weights after each step: the step cannot be taken back, before and after.
TEST(ResumeTest, AStepThatCannotBeTakenBackStaysSo) {
  const TemporaryFolder folder;
  const auto options = NaturalGradientOptions();
  ResumeRun first(options);
  first.train(0, 2);
  {
    const torch::NoGradGuard no_grad;
    for (auto& p : first.model->parameters()) p.clamp_(-0.3, 0.3);
  }
  save_checkpoint(first.model, *first.optimizer, folder / "run");
  ResumeRun second(options);
  load_checkpoint(second.model, *second.optimizer, folder / "run");
  for (auto* run : {&first, &second}) {
    const auto before = run->values();
    run->optimizer->step([&] {
      return HUGE_VAL * run->model->forward(randn({4, 5}, 3)).exp().sum();
    });
    EXPECT_FALSE(run->optimizer->summary().restored);
    EXPECT_TRUE(identical(run->values(), before));
  }
}

// Factors are kept for the parameters that they are of, and forgotten when others train.
TEST(ResumeTest, FreezingOnTheWayForgetsTheFactorsAsWithoutAStop) {
  const TemporaryFolder folder;
  const auto options = presets::kfac();
  ResumeRun straight(options);
  straight.train(0, 3);
  save_checkpoint(straight.model, *straight.optimizer, folder / "run");
  ResumeRun second(options);
  load_checkpoint(second.model, *second.optimizer, folder / "run");
  for (auto* run : {&straight, &second}) {
    run->model->parameters()[0].requires_grad_(false);
    torch::manual_seed(3);
    run->train(3, 8);
  }
  EXPECT_TRUE(identical(second.values(), straight.values()));
}

}  // namespace
}  // namespace natgrad::testing::resume_test
