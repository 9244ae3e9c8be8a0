// What every step rule must satisfy. A new rule is a line of `rule_cases`.

#include <natgrad/step_control/adaptive_rate.h>
#include <natgrad/step_control/geodesic_acceleration.h>
#include <natgrad/step_control/held_out_rate.h>
#include <natgrad/step_control/inverse_time.h>
#include <natgrad/step_control/kl_constrained.h>
#include <natgrad/step_control/learning_rate.h>
#include <natgrad/step_control/line_search.h>
#include <natgrad/step_control/quadratic_model_step.h>
#include <natgrad/step_control/subspace_minimisation.h>

#include <ostream>

#include "step_control/quadratic_descent.h"

namespace natgrad::testing::step_rule_test {
namespace {

using AnyRule = std::shared_ptr<const StepRule>;

struct RuleCase {
  std::string name;               // what its text begins with
  std::vector<AnyRule> settings;  // all different
  std::vector<std::function<void()>> invalid;
  double centre = 0;  // μ of the solutions that it is made for

  QuadraticDescent descent() const {
    auto made = six_parameters();
    made.centre = centre;
    return made;
  }
};

void PrintTo(const RuleCase& rule, std::ostream* out) { *out << rule.name; }

template <class... Rules>
std::vector<AnyRule> settings(const Rules&... rules) {
  return {std::make_shared<const Rules>(rules)...};
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<RuleCase> rule_cases() {
  return {
      {"LearningRate", settings(LearningRate()), {}},
      {"GeodesicAcceleration",
       settings(GeodesicAcceleration(), GeodesicAcceleration().limit(1.5)),
       {[] { GeodesicAcceleration().limit(-1).clone(); },
        [] { GeodesicAcceleration().limit(kNan).clone(); }}},
      {"HeldOutRate",
       settings(HeldOutRate(), HeldOutRate().largest(0.2)),
       {[] { HeldOutRate().largest(0).clone(); }, [] { HeldOutRate().largest(-1).clone(); },
        [] { HeldOutRate().largest(kNan).clone(); },
        [] { HeldOutRate().largest(HUGE_VAL).clone(); }},
       0.95},
      {"InverseTime",
       settings(InverseTime(), InverseTime(0.6)),
       {[] { InverseTime(0); }, [] { InverseTime(-1); }, [] { InverseTime{kNan}; },
        [] { InverseTime{HUGE_VAL}; }}},
      {"AdaptiveRate",
       settings(AdaptiveRate(), AdaptiveRate().initial(0.2), AdaptiveRate().alpha(3),
                AdaptiveRate().beta(0.2), AdaptiveRate().least_loss(0.1),
                AdaptiveRate().largest(2)),
       {[] { AdaptiveRate().initial(0).clone(); }, [] { AdaptiveRate().initial(1.5).clone(); },
        [] { AdaptiveRate().alpha(0).clone(); }, [] { AdaptiveRate().alpha(kNan).clone(); },
        [] { AdaptiveRate().beta(-1).clone(); }, [] { AdaptiveRate().least_loss(kNan).clone(); },
        [] { AdaptiveRate().largest(HUGE_VAL).clone(); }}},
      {"KLConstrained",
       settings(KLConstrained(0.1), KLConstrained(0.2)),
       {[] { KLConstrained(0); }, [] { KLConstrained(-0.1); }, [] { KLConstrained{kNan}; },
        [] { KLConstrained{HUGE_VAL}; }}},
      {"QuadraticModelStep",
       settings(QuadraticModelStep(), QuadraticModelStep().momentum(false)),
       {}},
      {"LineSearch",
       settings(LineSearch(), LineSearch().shrink(0.5), LineSearch().sufficient_decrease(0.1),
                LineSearch().max_trials(10), LineSearch().backtrack(false)),
       {[] { LineSearch().shrink(1).clone(); }, [] { LineSearch().shrink(kNan).clone(); },
        [] { LineSearch().sufficient_decrease(0).clone(); },
        [] { LineSearch().max_trials(0).clone(); }}},
      {"SubspaceMinimisation",
       settings(SubspaceMinimisation(), SubspaceMinimisation().floor(1e-3),
                SubspaceMinimisation().max_iterations(5),
                SubspaceMinimisation().max_evaluations(7)),
       {[] { SubspaceMinimisation().floor(0).clone(); },
        [] { SubspaceMinimisation().floor(kNan).clone(); },
        [] { SubspaceMinimisation().max_iterations(0).clone(); },
        [] { SubspaceMinimisation().max_evaluations(0).clone(); }}},
  };
}

struct StepRules : ::testing::TestWithParam<RuleCase> {};

TEST_P(StepRules, DescendFromTheStart) {
  for (const auto& setting : GetParam().settings) {
    const auto rule = setting->clone();
    auto descent = GetParam().descent();
    const auto gradient = descent.gradient(descent.theta);
    const auto step = descent.choose(*rule);
    EXPECT_TRUE(step.found);
    EXPECT_LT(gradient.dot(step.displacement).item<double>(), 0) << rule->describe();
    EXPECT_LT(descent.at(step.displacement), descent.start()) << rule->describe();
  }
}

TEST_P(StepRules, StepsAreOfTheParametersShapeAndDtype) {
  for (const auto& setting : GetParam().settings) {
    const auto rule = setting->clone();
    auto descent = GetParam().descent();
    for (auto* tensor : {&descent.C, &descent.minimum, &descent.theta}) {
      *tensor = tensor->to(torch::kFloat);
    }
    for (int k = 0; k < 3; ++k) {
      const auto step = descent.step(*rule);
      for (const auto& tensor : {step.displacement, step.kept}) {
        EXPECT_EQ(tensor.sizes(), descent.theta.sizes()) << rule->describe();
        EXPECT_EQ(tensor.scalar_type(), torch::kFloat) << rule->describe();
        EXPECT_TRUE(all_finite(tensor)) << rule->describe();
      }
    }
  }
}

TEST_P(StepRules, HalfTheLearningRateIsHalfTheStep) {
  for (const auto& setting : GetParam().settings) {
    if (setting->needs_trials()) continue;  // such a rule looks for its own length
    auto whole = GetParam().descent(), half = GetParam().descent();
    half.rate = 0.5;
    const auto step = whole.choose(*setting->clone()).displacement;
    EXPECT_TRUE(identical(half.choose(*setting->clone()).displacement, 0.5 * step))
        << setting->describe();
  }
}

TEST_P(StepRules, ACloneTakesTheSameStepsAndLeavesTheOriginalAlone) {
  for (const auto& setting : GetParam().settings) {
    const auto rule = setting->clone();
    auto descent = GetParam().descent();
    for (int k = 0; k < 3; ++k) {
      const auto before = rule->state();
      const auto clones = descent.choose(*rule->clone());
      EXPECT_EQ(rule->state(), before) << rule->describe();
      EXPECT_TRUE(identical(descent.step(*rule).displacement, clones.displacement))
          << rule->describe();
    }
  }
}

TEST_P(StepRules, AStateContinuesToTheBit) {
  for (const auto& setting : GetParam().settings) {
    const auto rule = setting->clone();
    auto descent = GetParam().descent();
    for (int k = 0; k < 4; ++k) {
      const auto fresh = setting->clone();
      fresh->set_state(rule->state());
      const auto continued = descent.choose(*fresh);
      EXPECT_TRUE(identical(descent.step(*rule).displacement, continued.displacement))
          << rule->describe() << " after " << k;
      EXPECT_EQ(fresh->state(), rule->state()) << rule->describe() << " after " << k;
    }
  }
}

TEST_P(StepRules, RefuseAStateOfAnotherLengthOrOneThatIsNoNumber) {
  const auto rule = GetParam().settings.front()->clone();
  GetParam().descent().step(*rule);
  auto longer = rule->state(), wrong = longer;
  longer.push_back(1);
  expect_error([&] { rule->set_state(longer); }, GetParam().name);
  if (wrong.empty()) return;
  wrong.front() = kNan;
  expect_error([&] { rule->set_state(wrong); }, GetParam().name);
}

TEST_P(StepRules, TextIsThatOfTheSettings) {
  for (const auto& setting : GetParam().settings) {
    EXPECT_EQ(setting->describe().rfind(GetParam().name + "(", 0), 0) << setting->describe();
    const auto rule = setting->clone();
    auto descent = GetParam().descent();
    descent.step(*rule);
    EXPECT_EQ(rule->describe(), setting->describe());
    for (const auto& other : GetParam().settings) {
      EXPECT_EQ(other->describe() == setting->describe(), other == setting) << other->describe();
    }
  }
}

TEST_P(StepRules, InvalidSettingsThrow) {
  for (const auto& call : GetParam().invalid) expect_error(call, "natgrad: " + GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(All, StepRules, ::testing::ValuesIn(rule_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::step_rule_test
