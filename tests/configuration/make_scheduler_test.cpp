// The rates of a schedule against its closed form, and LibTorch's own scheduler.

#include <natgrad/configuration.h>
#include <natgrad/natgrad.h>

#include <cmath>
#include <numbers>
#include <sstream>

#include "support/oracles.h"

namespace natgrad::testing::make_scheduler_test {
namespace {

constexpr double kInitial = 0.4;
// Of a rate: a few roundings of pow and cos.
constexpr double kTolerance = 1e-14;

using OptimizerPtr = std::unique_ptr<torch::optim::Optimizer>;

OptimizerPtr optimizer() {
  return make_optimizer({torch::ones({2}, torch::kDouble).requires_grad_()},
                        R"({"type": "natgrad", "lr": 0.4})");
}

double rate_of(const torch::optim::Optimizer& optimizer) {
  return optimizer.param_groups()[0].options().get_lr();
}

struct ScheduleCase {
  std::string name, json;
  std::function<double(int t)> factor;
};

std::ostream& operator<<(std::ostream& out, const ScheduleCase& schedule) {
  return out << schedule.name;
}

class Schedule : public ::testing::TestWithParam<ScheduleCase> {};

TEST_P(Schedule, HasTheRatesOfItsClosedForm) {
  const auto driven = optimizer();
  const auto scheduler = make_scheduler(*driven, GetParam().json);
  for (int t = 0; t < 12; ++t) {
    EXPECT_NEAR(rate_of(*driven), kInitial * GetParam().factor(t), kTolerance) << "t = " << t;
    scheduler->step();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Schedule,
    ::testing::Values(ScheduleCase{"Constant", R"({"type": "constant"})", [](int) { return 1.; }},
                      ScheduleCase{"Step", R"({"type": "step", "step_size": 3, "gamma": 0.5})",
                                   [](int t) {
                                     return t < 3 ? 1 : t < 6 ? 0.5 : t < 9 ? 0.25 : 0.125;
                                   }},
                      ScheduleCase{"Multistep", R"({"type": "multistep", "milestones": [2, 5]})",
                                   [](int t) { return t < 2   ? 1
                                                      : t < 5 ? 0.1
                                                              : 0.01; }},
                      ScheduleCase{"Exponential", R"({"type": "exponential", "gamma": 0.9})",
                                   [](int t) { return std::pow(0.9, t); }},
                      ScheduleCase{"Polynomial",
                                   R"({"type": "polynomial", "periods": 10, "power": 2})",
                                   [](int t) { return t < 10 ? (10 - t) * (10 - t) / 100. : 0; }},
                      ScheduleCase{"Cosine", R"({"type": "cosine", "periods": 8, "least": 0.1})",
                                   [](int t) {
                                     const double angle = std::numbers::pi * std::min(t, 8) / 8;
                                     return 0.1 + 0.9 * std::pow(std::cos(angle / 2), 2);
                                   }},
                      ScheduleCase{"Warmup", R"({"type": "constant", "warmup": 4})",
                                   [](int t) { return t < 4 ? (t + 1) / 5. : 1; }}),
    [](const auto& info) { return info.param.name; });

TEST(MakeScheduler, DrivesEachGroupFromItsOwnRate) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (const double lr : {0.5, 0.2}) {
    groups.emplace_back(std::vector<Tensor>{torch::ones({2}).requires_grad_()},
                        std::make_unique<torch::optim::AdamOptions>(lr));
  }
  const auto adam = make_optimizer(groups, R"({"type": "adam"})");
  const auto scheduler = make_scheduler(*adam, R"({"type": "exponential", "gamma": 0.5})");
  scheduler->step();
  EXPECT_EQ(adam->param_groups()[0].options().get_lr(), 0.25);
  EXPECT_EQ(adam->param_groups()[1].options().get_lr(), 0.1);
}

TEST(MakeScheduler, ReducesOnAPlateauAsLibTorchDoes) {
  using Plateau = torch::optim::ReduceLROnPlateauScheduler;
  const auto driven = optimizer(), other = optimizer();
  const auto scheduler =
      make_scheduler(*driven, R"({"type": "reduce_on_plateau", "mode": "max", "factor": 0.5,
                                  "patience": 1, "threshold": 0.01, "cooldown": 1})");
  Plateau plain(*other, Plateau::max, 0.5, 1, 0.01, Plateau::rel, 1);
  int changes = 0;
  for (const double metric : {1., 1.1, 1.1, 1.1, 1.1, 1.1, 2., 2., 2., 2., 2.}) {
    const double before = rate_of(*driven);
    scheduler->step(metric);
    plain.step(static_cast<float>(metric));
    EXPECT_EQ(rate_of(*driven), rate_of(*other));
    changes += rate_of(*driven) != before;
  }
  EXPECT_GE(changes, 2);
  EXPECT_THROW(scheduler->step(), c10::Error);
}

// A log-likelihood's metrics: below 0, where LibTorch's own rule errs.
TEST(MakeScheduler, KnowsAPlateauBelowZero) {
  for (const char* mode : {"min", "max"}) {
    const auto driven = optimizer();
    const auto scheduler = make_scheduler(
        *driven, std::string(R"({"type": "reduce_on_plateau", "factor": 0.5, "patience": 1,
                                 "mode": ")") +
                     mode + "\"}");
    const double better = std::string(mode) == "min" ? -1 : 1;
    for (const double metric : {-10., -10 + better, -10 + 2 * better}) scheduler->step(metric);
    EXPECT_EQ(rate_of(*driven), kInitial) << mode;
    for (int k = 0; k < 2; ++k) scheduler->step(-10 + 2 * better);  // the same twice
    EXPECT_EQ(rate_of(*driven), kInitial / 2) << mode;
  }
}

// ---- Saved and resumed. ----

struct Driven {
  OptimizerPtr driven = optimizer();
  std::unique_ptr<Scheduler> schedule;
  explicit Driven(const std::string& json) : schedule(make_scheduler(*driven, json)) {}
  /// A metric that stalls, so that a rule by it has something to remember.
  void step(int t) { schedule->step(t < 2 ? 1. - t : 0.); }
};

template <class Value>
std::string saved(const Value& value) {
  std::ostringstream bytes;
  torch::save(value, bytes);
  return bytes.str();
}

template <class Value>
void load(Value& value, const std::string& bytes) {
  std::istringstream stream(bytes);
  torch::load(value, stream);
}

TEST(MakeScheduler, AResumedScheduleGoesOnWhereItWas) {
  constexpr int kEnded = 5;
  for (const std::string json :
       {R"({"type": "cosine", "periods": 8, "warmup": 2})", R"({"type": "step", "step_size": 2})",
        R"({"type": "reduce_on_plateau", "patience": 2, "cooldown": 1})"}) {
    for (const bool optimizer_first : {false, true}) {
      Driven run(json), resumed(json);
      for (int t = 0; t < kEnded; ++t) run.step(t);
      const auto of_schedule = saved(*run.schedule), of_optimizer = saved(*run.driven);
      if (optimizer_first) load(*resumed.driven, of_optimizer);
      load(*resumed.schedule, of_schedule);
      if (!optimizer_first) load(*resumed.driven, of_optimizer);
      for (int t = kEnded; t < 12; ++t) {
        EXPECT_EQ(rate_of(*resumed.driven), rate_of(*run.driven)) << json << ", t = " << t;
        run.step(t);
        resumed.step(t);
      }
      EXPECT_LT(rate_of(*run.driven), kInitial) << json << ": nothing was driven";
    }
  }
}

TEST(MakeScheduler, AnotherKindsStateIsRefusedAndChangesNothing) {
  Driven cosine(R"({"type": "cosine", "periods": 8})"), plateau(R"({"type": "reduce_on_plateau"})");
  cosine.step(0);
  const double rate = rate_of(*plateau.driven);
  expect_error([&] { load(*plateau.schedule, saved(*cosine.schedule)); }, "a schedule of periods");
  expect_error([&] { load(*cosine.schedule, saved(*cosine.driven)); }, "holds something else");
  EXPECT_EQ(rate_of(*plateau.driven), rate);
}

TEST(MakeScheduler, RefusesWhatItDoesNotKnow) {
  const auto driven = optimizer();
  for (const char* json :
       {"", "3", "{}", R"({"type": "linear"})", R"({"type": "step"})",
        R"({"type": "step", "step_size": 0})", R"({"type": "step", "step_size": 3, "size": 1})",
        R"({"type": "cosine", "periods": -1})", R"({"type": "multistep", "milestones": 3})",
        R"({"type": "constant", "warmup": -1})", R"({"type": "cosine", "periods": 8, "warmup": 8})",
        R"({"type": "polynomial", "periods": 3, "warmup": 5})",
        R"({"type": "constant", "periods": 0})",
        R"({"type": "step", "step_size": 1, "periods": 5})",
        R"({"type": "cosine", "periods": "x"})",
        R"({"type": "reduce_on_plateau", "mode": "up"})"}) {
    EXPECT_THROW(make_scheduler(*driven, json), c10::Error) << json;
    EXPECT_EQ(rate_of(*driven), kInitial) << json;
  }
}

}  // namespace
}  // namespace natgrad::testing::make_scheduler_test
