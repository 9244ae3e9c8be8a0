// docs/faults.md, rows 56 to 61: how step is called, and closures that fail. At every call in turn,
// for each preset: faults_at_every_call_test.cpp.

#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/damping/trust_region.h>
#include <natgrad/optim/presets.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>
#include <natgrad/step_control/line_search.h>

#include <new>

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_protocol_test {
namespace {

namespace F = torch::nn::functional;

/// No relative of std::exception: it can only pass through, not be translated.
struct OwnException {
  int token;
};

constexpr int kToken = 4711, kCalls = 6;

// ---- Row 56: the closure throws at its k-th call, for every k. ----

struct FaultsRow56 : ::testing::TestWithParam<int> {};

TEST_P(FaultsRow56, ThrowsTheSameExceptionAndLeavesNoTrace) {
  Training faulty, sound;
  int calls = 0;
  const auto closure = [&] {
    const auto loss = faulty.loss(faulty.batches);
    if (++calls == GetParam()) throw OwnException{kToken};
    return loss;
  };
  while (faulty.batches < kCalls) {
    const Snapshot before(faulty.parameters(), faulty.model.ptr(), faulty.optimizer.get());
    try {
      faulty.optimizer->step(closure);
      ++faulty.batches;
    } catch (const OwnException& exception) {
      EXPECT_EQ(exception.token, kToken);
      EXPECT_EQ(calls, GetParam());
      before.expect_unchanged();
    }
  }
  EXPECT_EQ(calls, kCalls + 1);
  for (int k = 0; k < kCalls; ++k) sound.good_step();
  EXPECT_TRUE(same_bits(faulty.theta(), sound.theta()));
  EXPECT_EQ(faulty.summary().lambda, sound.summary().lambda);
}

INSTANTIATE_TEST_SUITE_P(Calls, FaultsRow56, ::testing::Range(1, kCalls + 1),
                         [](const auto& info) { return std::to_string(info.param); });

TEST(FaultsProtocol, Row56OutOfMemoryPassesThroughAsItIs) {
  expect_no_trace([](Training& training) {
    EXPECT_THROW(training.optimizer->step([]() -> Tensor { throw std::bad_alloc(); }),
                 std::bad_alloc);
  });
  expect_no_trace([](Training& training) {
    const auto closure = []() -> Tensor {
      TORCH_CHECK_WITH(OutOfMemoryError, false, "out of memory");
    };
    EXPECT_THROW(training.optimizer->step(closure), c10::OutOfMemoryError);
  });
}

/// What a closure may have done before it throws.
struct Damage {
  std::string name;
  std::function<void(Training&)> inflict;
};

std::ostream& operator<<(std::ostream& out, const Damage& damage) { return out << damage.name; }

struct FaultsRow56Damage : ::testing::TestWithParam<Damage> {};

TEST_P(FaultsRow56Damage, IsPutBack) {
  expect_no_trace([](Training& training) {
    const auto closure = [&]() -> Tensor {
      GetParam().inflict(training);
      throw OwnException{kToken};
    };
    EXPECT_THROW(training.optimizer->step(closure), OwnException);
  });
}

const std::vector<Damage> kDamages = {
    {"MovedParameters",
     [](Training& t) {
       const torch::NoGradGuard no_grad;
       for (auto& p : t.parameters()) p.add_(1);
     }},
    {"MovedParameterData", [](Training& t) { t.parameters()[0].data().add_(1); }},
    {"FirstGradients", [](Training& t) { t.loss(0).backward(); }},
    {"FrozenParameters", [](Training& t) { t.parameters()[1].requires_grad_(false); }},
    {"DrawnNumbers", [](Training&) { torch::rand({3}); }},
};

INSTANTIATE_TEST_SUITE_P(Damages, FaultsRow56Damage, ::testing::ValuesIn(kDamages),
                         [](const auto& info) { return info.param.name; });

TEST(FaultsProtocol, Row56GradientsArePutBack) {
  Training training;
  training.loss(0).backward();
  const Snapshot before(training.parameters());
  for (const bool to_none : {false, true}) {
    const auto closure = [&]() -> Tensor {
      training.optimizer->zero_grad(to_none);
      training.loss(1).backward();
      throw OwnException{kToken};
    };
    EXPECT_THROW(training.optimizer->step(closure), OwnException);
    before.expect_unchanged();
  }
}

TEST(FaultsProtocol, Row56BuffersModesAndDropoutOfTheModuleArePutBack) {
  torch::manual_seed(3);
  auto model = classifier(/*noisy=*/true);
  model[3]->eval();  // mixed modes
  NaturalGradient optimizer(model->parameters(), NaturalGradientOptions().module(model.ptr()));
  const auto loss = [&] {
    return F::cross_entropy(model->forward(Training::inputs(0)), Training::labels(0));
  };
  optimizer.step(loss);
  const Snapshot before(model->parameters(), model.ptr(), &optimizer);
  const auto closure = [&]() -> Tensor {
    model->train();
    loss();
    model->eval();
    throw OwnException{kToken};
  };
  EXPECT_THROW(optimizer.step(closure), OwnException);
  before.expect_unchanged();
}

TEST(FaultsProtocol, Row56FailedStepOfANoisyModuleLeavesNoTrace) {
  const auto run = [](bool with_fault) {
    torch::manual_seed(3);
    auto model = classifier(/*noisy=*/true);
    NaturalGradient optimizer(model->parameters(),
                              NaturalGradientOptions().module(model.ptr()).unread(Unread::Throw));
    for (int k = 0; k < 3; ++k) {
      const auto loss = [&] {
        return F::cross_entropy(model->forward(Training::inputs(k)), Training::labels(k));
      };
      const auto fault = [&] { return loss().log(); };  // not linear: throws after the forward pass
      if (with_fault) {
        EXPECT_THROW(optimizer.step(fault), c10::Error);
      }
      optimizer.step(loss);
    }
    return model;
  };
  const auto faulty = run(true), sound = run(false);
  for (size_t i = 0; i < sound->parameters().size(); ++i) {
    EXPECT_TRUE(same_bits(faulty->parameters()[i], sound->parameters()[i])) << "parameter " << i;
  }
  for (size_t i = 0; i < sound->buffers().size(); ++i) {
    EXPECT_TRUE(same_bits(faulty->buffers()[i], sound->buffers()[i])) << "buffer " << i;
  }
}

TEST(FaultsProtocol, Row56GeneratorsOfTheClosureAreItsOwn) {
  Training training;
  auto own = seeded(7);
  const auto closure = [&]() -> Tensor {
    torch::rand({3}, own);
    throw OwnException{kToken};
  };
  EXPECT_THROW(training.optimizer->step(closure), OwnException);
  auto reference = seeded(7);
  EXPECT_FALSE(same_bits(torch::rand({3}, own), torch::rand({3}, reference)));
}

// ---- Rows 58 and 59: a closure that answers otherwise when called again. ----

const std::vector<NaturalGradientOptions>& judging() {
  static const std::vector<NaturalGradientOptions> all = {
      NaturalGradientOptions(1).damping(LevenbergMarquardt()),
      NaturalGradientOptions(1).damping(TrustRegion()).solver(SteihaugConjugateGradient()),
      NaturalGradientOptions(1).damping(Tikhonov(0.1)).step_rule(LineSearch()),
      presets::hessian_free(),
      presets::krylov_subspace_descent(4),
      presets::kfac(),
      presets::least_squares(),
  };
  return all;
}

/// Expects the first steps of each judging method to throw, with nothing changed by them.
void expect_told(const std::function<Tensor(Training&, int64_t call)>& loss) {
  for (const auto& options : judging()) {
    SCOPED_TRACE(options.describe_system());
    Training training(options);
    int64_t calls = 0;
    const auto step = [&] { training.optimizer->step([&] { return loss(training, calls++); }); };
    const Snapshot before(training.parameters(), training.model.ptr(), training.optimizer.get());
    // K-FAC judges its fifth step first.
    for (int k = 0; k < 5 && calls == k; ++k) {
      try {
        step();
      } catch (const c10::Error& error) {
        EXPECT_NE(std::string(error.what_without_backtrace()).find("use the same data each time"),
                  std::string::npos)
            << error.what_without_backtrace();
        EXPECT_GT(calls, k + 1);
        if (k == 0) before.expect_unchanged();
        break;
      }
      EXPECT_EQ(calls, k + 1) << "called again, and nothing was told";
    }
  }
}

TEST(FaultsProtocol, Row58AClosureThatDrawsItsBatchIsTold) {
  expect_told([](Training& training, int64_t call) { return training.loss(call); });
}

TEST(FaultsProtocol, Row59AClosureWhoseBatchHasAnotherSizeWhenCalledAgainIsTold) {
  expect_told([](Training& training, int64_t call) {
    const auto size = std::max<int64_t>(12 - call, 2);
    return F::cross_entropy(training.model->forward(Training::inputs(0).narrow(0, 0, size)),
                            Training::labels(0).narrow(0, 0, size));
  });
}

// ---- Row 60. ----

TEST(FaultsProtocol, Row60ReentrantStepThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        training.optimizer->step([&] {
          training.optimizer->step(training.loss(0));
          return training.loss(0);
        });
      },
      "within a step");
}

TEST(FaultsProtocol, Row60ReentrantStepThatTheClosureSwallowsDoesNothing) {
  Training swallowing, sound;
  swallowing.optimizer->step([&] {
    EXPECT_THROW(swallowing.optimizer->step(swallowing.loss(0)), c10::Error);
    return swallowing.loss(0);
  });
  sound.good_step();
  EXPECT_TRUE(same_bits(swallowing.theta(), sound.theta()));
}

// ---- Row 61. ----

TEST(FaultsProtocol, Row61NullClosureThrows) {
  expect_no_trace_of_error(
      [](Training& training) { training.optimizer->step(torch::optim::Optimizer::LossClosure()); },
      "closure");
}

TEST(FaultsProtocol, Row61StepWithoutArgumentsThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        torch::optim::Optimizer& optimizer = *training.optimizer;
        optimizer.step();
      },
      "closure");
}

}  // namespace
}  // namespace natgrad::testing::faults_protocol_test
