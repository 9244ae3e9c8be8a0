// faults.md, rows 56 and 57, for each preset: the closure throws at every call in turn, and memory
// runs out at every allocation in turn. Each time everything is as before, the exception is the
// same, and the step that follows is that of an optimizer that never failed.

#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/trust_region.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>

#include <optional>
#include <set>

#include "support/oracles.h"
#include "support/scarce_memory.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_at_every_call_test {
namespace {

namespace F = torch::nn::functional;

struct Method {
  std::string name;
  std::function<NaturalGradientOptions()> options;
  bool noisy = true;   ///< with batch normalisation and dropout
  int64_t chunks = 1;  ///< of a batch
};

std::ostream& operator<<(std::ostream& out, const Method& method) { return out << method.name; }

const std::vector<Method> kMethods = {
    {"DefaultByRows", [] { return NaturalGradientOptions(); }, /*noisy=*/false},
    {"DefaultByTheMatrix", [] { return NaturalGradientOptions().fill_grad(true); }},
    {"NaturalGradient", [] { return presets::natural_gradient(0.1); }, /*noisy=*/false},
    {"HessianFree", [] { return presets::hessian_free(); }},
    {"KrylovSubspaceDescent", [] { return presets::krylov_subspace_descent(4); }},
    {"Kfac", [] { return presets::kfac(); }},
    {"LeastSquares", [] { return presets::least_squares(); }, /*noisy=*/false},
    {"KfacInChunks", [] { return presets::kfac(); }, /*noisy=*/false, /*chunks=*/3},
    {"DefaultInChunks", [] { return NaturalGradientOptions(); }, /*noisy=*/true, /*chunks=*/2},
    {"GradientRows", [] { return NaturalGradientOptions().curvature(GradientRows()); },
     /*noisy=*/false},
    {"TrustRegion",
     [] {
       return NaturalGradientOptions(1).damping(TrustRegion()).solver(SteihaugConjugateGradient());
     }},
    {"Cholesky",
     [] { return NaturalGradientOptions(1).damping(LevenbergMarquardt()).solver(Cholesky()); }},
};

std::string name_of(const ::testing::TestParamInfo<Method>& info) { return info.param.name; }

/// A model in training, whose batches and random numbers are those of the step's number.
struct Course {
  torch::nn::Sequential model;
  NaturalGradient optimizer;
  int64_t chunks;

  explicit Course(const Method& method)
      : model(classifier(method.noisy)),
        optimizer(model->parameters(), method.options().module(model.ptr())),
        chunks(method.chunks) {
    auto first = model->parameters()[0];
    first.mutable_grad() = torch::ones_like(first);  // the user's
  }
  Tensor loss(int64_t k) {
    return F::cross_entropy(model->forward(Training::inputs(k)), Training::labels(k));
  }
  void step(int64_t k, const Batch::Loss& closure) {
    torch::manual_seed(static_cast<uint64_t>(k));
    chunks == 1 ? optimizer.step([&] { return closure(0); }) : optimizer.step(chunks, closure);
  }
  void sound_step(int64_t k) {
    step(k, [&](int64_t chunk) { return loss(chunks * k + chunk); });
  }
  Snapshot snapshot() const { return Snapshot(model->parameters(), model.ptr(), &optimizer); }
};

/// A run in which steps fail, beside one in which none does.
class TwoCourses {
 public:
  explicit TwoCourses(const Method& method) : failing_(method), sound_(method) {}

  /// Both take this step. Returns how many allocations it makes.
  int64_t sound_step(int64_t step) {
    failing_.sound_step(step);
    return count_sound_step(step);
  }

  /// The same, but one of them fails first: at each k from `first` on by `stride` as long as
  /// `attempt` says that the k-th failed.
  using Attempt = std::function<bool(Course&, int64_t step, int64_t k)>;
  using Sequence = std::function<std::pair<int64_t, int64_t>(int64_t allocations)>;
  int64_t failing_step(int64_t step, const Sequence& sequence, const Attempt& attempt) {
    const auto [first, stride] = sequence(count_sound_step(step));
    torch::manual_seed(static_cast<uint64_t>(step));
    const auto before = failing_.snapshot();
    int64_t failed = 0;
    for (int64_t k = first; attempt(failing_, step, k); k += stride, ++failed) {
      before.expect_unchanged();
      if (!::testing::Test::HasFailure()) continue;
      ADD_FAILURE() << "by failure " << k;
      break;
    }
    expect_the_same();
    return failed;
  }

 private:
  int64_t count_sound_step(int64_t step) {
    auto& memory = ScarceMemory::the();
    memory.count();
    sound_.sound_step(step);
    memory.recover();
    return memory.allocations();
  }

  void expect_the_same() const {
    const auto a = failing_.model->parameters(), b = sound_.model->parameters();
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(same_bits(a[i], b[i])) << "parameter " << i;
      EXPECT_TRUE(same_bits(a[i].grad(), b[i].grad())) << ".grad of " << i;
    }
    const auto of_failing = failing_.model->buffers(), of_sound = sound_.model->buffers();
    for (size_t i = 0; i < of_sound.size(); ++i) {
      EXPECT_TRUE(same_bits(of_failing[i], of_sound[i])) << "buffer " << i;
    }
    EXPECT_TRUE(saved_state(failing_.optimizer) == saved_state(sound_.optimizer));
    EXPECT_EQ(failing_.optimizer.summary().message(), sound_.optimizer.summary().message());
  }

  Course failing_, sound_;
};

// At the start, with what one step leaves, and with what more do: K-FAC judges every fifth.
constexpr int64_t kSteps = 6;
const std::set<int64_t> kFailingSteps = {0, 1, 5};

// ---- Row 56. ----

/// No relative of std::exception: it can only pass through, not be translated.
struct Own {
  int64_t token;
};

struct FaultsRow56EveryCall : ::testing::TestWithParam<Method> {};

/// Whether the step ended by the closure's exception, at its k-th call.
bool throws_at(Course& course, int64_t step, int64_t k) {
  int64_t calls = 0;
  try {
    course.step(step, [&](int64_t chunk) {
      auto loss = course.loss(course.chunks * step +
                              chunk);  // which draws, and moves the running statistics
      if (++calls == k) throw Own{k};
      return loss;
    });
  } catch (const Own& own) {
    EXPECT_EQ(own.token, k);
    EXPECT_EQ(calls, k);
    return true;
  }
  return false;
}

TEST_P(FaultsRow56EveryCall, AClosureThatThrowsLeavesNoTrace) {
  TwoCourses courses(GetParam());
  int64_t failed = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    SCOPED_TRACE(step);
    const auto every_call = [](int64_t) { return std::pair<int64_t, int64_t>(1, 1); };
    failed += courses.failing_step(step, every_call, throws_at);
    if (HasFailure()) return;
  }
  EXPECT_GE(failed, kSteps);
  RecordProperty("failures", static_cast<int>(failed));
}

INSTANTIATE_TEST_SUITE_P(Methods, FaultsRow56EveryCall, ::testing::ValuesIn(kMethods), name_of);

// ---- Row 57. ----

struct FaultsRow57EveryAllocation : ::testing::TestWithParam<Method> {};

/// Whether memory ran out in the step, and was told as such.
bool runs_out(Course& course, int64_t step, int64_t k, Shortage shortage, bool for_good) {
  auto& memory = ScarceMemory::the();
  const auto is_told = [](const c10::Error& error) {
    return error.what_without_backtrace() == ScarceMemory::kText;
  };
  memory.run_out_at(k, shortage, for_good);
  bool failed = true;
  try {
    course.sound_step(step);
    failed = false;
  } catch (const std::bad_alloc&) {
    memory.recover();
    EXPECT_EQ(shortage, Shortage::BadAlloc);
  } catch (const c10::OutOfMemoryError& error) {
    memory.recover();
    EXPECT_EQ(shortage, Shortage::OutOfMemoryError);
    EXPECT_TRUE(is_told(error)) << error.what_without_backtrace();
  } catch (const c10::Error& error) {
    memory.recover();
    EXPECT_EQ(shortage, Shortage::CpuText);
    EXPECT_TRUE(is_told(error)) << error.what_without_backtrace();
  }
  memory.recover();
  EXPECT_EQ(failed, memory.allocations() >= k) << "swallowed";
  return failed;
}

constexpr int64_t kKinds = 6;
// Of one kind in one step, unless all are asked for: NATGRAD_EVERY_ALLOCATION=1.
constexpr int64_t kShortages = 16;

/// The allocations that fail, of so many: others for each kind.
std::pair<int64_t, int64_t> spread_shortages(int64_t allocations, int64_t kind) {
  if (std::getenv("NATGRAD_EVERY_ALLOCATION")) return {1, 1};
  const auto stride = std::max<int64_t>(1, allocations / kShortages);
  return {1 + kind * stride / kKinds, stride};
}

TEST_P(FaultsRow57EveryAllocation, AShortageOfMemoryLeavesNoTrace) {
  int64_t failed = 0;
  for (int64_t kind = 0; kind < kKinds; ++kind) {
    const auto shortage = static_cast<Shortage>(kind / 2);
    const bool for_good = kind % 2 == 1;
    SCOPED_TRACE(::testing::Message() << "shortage " << static_cast<int>(shortage)
                                      << (for_good ? " for good" : " once"));
    const auto attempt = [&](Course& course, int64_t step, int64_t k) {
      return runs_out(course, step, k, shortage, for_good);
    };
    TwoCourses courses(GetParam());
    for (int64_t step = 0; step < kSteps; ++step) {
      SCOPED_TRACE(step);
      if (!kFailingSteps.contains(step)) {
        courses.sound_step(step);
        continue;
      }
      const auto spread = [kind](int64_t all) { return spread_shortages(all, kind); };
      failed += courses.failing_step(step, spread, attempt);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(failed, kKinds * kShortages);
  RecordProperty("failures", static_cast<int>(failed));
}

INSTANTIATE_TEST_SUITE_P(Methods, FaultsRow57EveryAllocation, ::testing::ValuesIn(kMethods),
                         name_of);

}  // namespace
}  // namespace natgrad::testing::faults_at_every_call_test
