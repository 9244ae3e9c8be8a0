// Models as people write them train, with the default options and with one preset each: nothing is
// thrown, nothing is warned of but what their entry lists, and the loss falls by a good part of
// what Adam gains at its best rate in as many steps.

#include "models/zoo.h"

#include <gtest/gtest.h>
#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>

#include <algorithm>
#include <functional>
#include <string>

#include "support/warnings.h"

namespace natgrad::testing::zoo_test {
namespace {

constexpr uint64_t kSeed = 0;  // of which the goals are

// Of the way to the goal that has to be gone: the default's first 50 steps are careful, and what
// it makes of later ones `benchmarks/model_zoo` tells; a preset's are few.
constexpr double kShareByDefault = 0.45, kShareByPreset = 0.5;

double share_of_the_way(double start, double goal, double share) {
  return start - share * (start - goal);
}

/// The model's own metric, which knows no advantages (Kakade 2001), damped for their noise.
NaturalGradientOptions policy_gradient() {
  constexpr double kDamping = 0.03;
  return presets::natural_gradient()
      .curvature(Fisher().weights(FisherWeights::Uniform))
      .damping(Tikhonov(kDamping));
}

struct Course {
  NaturalGradientOptions options;
  int64_t steps;  ///< on all mini-batches at once
};

/// As many steps as the preset's first damping needs to come down.
Course course_of(zoo::Preset preset) {
  switch (preset) {
    case zoo::Preset::HessianFree:
      return {presets::hessian_free(), 10};
    case zoo::Preset::Kfac:
      return {presets::kfac(), 40};
    case zoo::Preset::KrylovSubspaceDescent:
      return {presets::krylov_subspace_descent(), 5};
    case zoo::Preset::NaturalGradient:
      return {policy_gradient(), 10};
    case zoo::Preset::ScoreRows:  // where an op has no second derivative
      return {presets::hessian_free().curvature(ScoreRows()), 10};
  }
  return {};
}

struct ZooTest : ::testing::TestWithParam<zoo::Entry> {
  zoo::Model model = GetParam().start(kSeed);

  void train(int64_t steps, const std::function<void(int64_t)>& step) {
    Warnings warnings;
    for (int64_t k = 0; k < steps; ++k) ASSERT_NO_THROW(step(k)) << "step " << k;
    expect_listed(warnings.texts);
    for (const auto& p : model.parameters) EXPECT_TRUE(p.isfinite().all().item<bool>());
  }

  void expect_listed(const std::vector<std::string>& warnings) const {
    const auto& listed = GetParam().expect.warnings;
    for (const auto& text : warnings) {
      EXPECT_TRUE(std::any_of(listed.begin(), listed.end(), [&](const char* part) {
        return text.find(part) != std::string::npos;
      })) << text;
    }
  }
};

TEST_P(ZooTest, TrainsByDefault) {
  const double start = zoo::full_loss(model);
  NaturalGradient optimizer(model.parameters);
  train(zoo::kSteps, [&](int64_t k) { optimizer.step([&] { return model.loss(k); }); });
  for (const auto* part : GetParam().expect.warnings) {
    if (part != zoo::kFound) continue;
    const auto& said = optimizer.summary().degradations;
    EXPECT_TRUE(std::any_of(said.begin(), said.end(), [&](const std::string& sentence) {
      return sentence.find(part) != std::string::npos;
    })) << "nothing is said of what is taken for the loss";
  }
  EXPECT_LE(zoo::full_loss(model), share_of_the_way(start, GetParam().expect.goal, kShareByDefault))
      << optimizer.summary().message();
}

TEST_P(ZooTest, TrainsByItsPreset) {
  const double start = zoo::full_loss(model);
  const auto course = course_of(GetParam().expect.preset);
  NaturalGradient optimizer(model.parameters, course.options);
  train(course.steps, [&](int64_t epoch) {
    const auto loss = [&](int64_t k) { return model.loss(epoch * zoo::kBatches + k); };
    const Batch all(zoo::kBatches, loss), eighth(1, loss);
    // Where nothing limits the step, the gradient needs its own batch's curvature.
    const bool limited = GetParam().expect.preset != zoo::Preset::NaturalGradient;
    optimizer.step(limited ? Batches{all, eighth} : Batches{all});
  });
  EXPECT_LE(zoo::full_loss(model), share_of_the_way(start, GetParam().expect.goal, kShareByPreset))
      << optimizer.summary().message();
}

INSTANTIATE_TEST_SUITE_P(Models, ZooTest, ::testing::ValuesIn(zoo::zoo()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace natgrad::testing::zoo_test
