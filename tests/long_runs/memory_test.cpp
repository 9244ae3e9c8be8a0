// 2,000 steps of each preset on a small net take no more memory than 200 did, whatever becomes of
// the steps.

#include <gtest/gtest.h>
#include <malloc.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "fuzz/steps.h"
#include "fuzz/watch.h"
#include "support/oracles.h"

namespace natgrad::testing::memory_test {
namespace {

namespace F = torch::nn::functional;

constexpr int kWarmUp = 200, kSteps = 2000;
// Of a process that frees what it took: the pages of an allocator that has found its size.
constexpr int64_t kFlat = int64_t(2) << 20;

/// Resident pages of this process, in bytes, once the allocator has given back what it can.
int64_t resident_bytes() {
  ::malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

/// What the loss of a step is like.
enum class Kind {
  Sound,
  Rejected,   ///< every other one is not finite: nothing is done, or the last step is taken back
  Throwing,   ///< every other closure throws once the graph is there
  Unreadable  ///< none that can be read
};

struct Run {
  fuzz::NamedOptions method;
  Kind kind;
};

std::ostream& operator<<(std::ostream& out, const Run& run) { return out << run.method; }

struct LongRuns : ::testing::TestWithParam<Run> {};

struct OwnError {};

TEST_P(LongRuns, TakeNoMoreAndMoreMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer keeps what was freed";
#endif
  const fuzz::Quiet quiet;
  const auto& [method, kind] = GetParam();
  auto W = (0.5 * randn({3, 2}, 1)).requires_grad_(), V = (0.5 * randn({3, 3}, 2)).requires_grad_();
  const auto x = randn({6, 2}, 3), y = torch::tensor({0, 1, 2, 0, 1, 1});
  NaturalGradient optimizer(std::vector<Tensor>{W, V}, method.options);
  int step = 0, thrown = 0;
  const auto closure = [&] {
    const auto z = x.mm(W.t()).tanh().mm(V.t());
    const auto loss = F::cross_entropy(z, y);
    const bool is_odd = step % 2 == 1;
    if (is_odd && kind == Kind::Throwing) throw OwnError();
    if (is_odd && kind == Kind::Rejected) return loss * std::numeric_limits<double>::infinity();
    return kind == Kind::Unreadable ? loss + z.sin().mean().exp() : loss;
  };
  int64_t after_warm_up = 0;
  for (; step < kSteps; ++step) {
    if (step == kWarmUp) after_warm_up = resident_bytes();
    try {
      optimizer.step(closure);
    } catch (const OwnError&) {
      ++thrown;
    }
  }
  EXPECT_EQ(thrown, kind == Kind::Throwing ? kSteps / 2 : 0);
  const auto more = resident_bytes() - after_warm_up;
  RecordProperty("bytes", std::to_string(more));
  EXPECT_LE(more, kFlat);
  EXPECT_TRUE(all_finite(W) && all_finite(V));
}

/// With fewer trials, as each of thousands of steps on a fitted problem would else take 60.
fuzz::NamedOptions quick(fuzz::NamedOptions method) {
  if (method.name == "krylov_subspace_descent") {
    method.options.solver(KrylovSubspace().dimension(2))
        .step_rule(SubspaceMinimisation().max_iterations(2).max_evaluations(3));
  }
  if (method.name == "hessian_free") method.options.step_rule(LineSearch().max_trials(3));
  return method;
}

std::vector<Run> runs() {
  std::vector<Run> runs;
  for (auto method : fuzz::all_presets()) {
    method = quick(std::move(method));
    runs.push_back({method, Kind::Sound});
    runs.push_back({method, Kind::Rejected});
    runs.push_back({method, Kind::Throwing});
  }
  runs.push_back({fuzz::all_presets().front(), Kind::Unreadable});
  return runs;
}

std::string name_of(const ::testing::TestParamInfo<Run>& info) {
  constexpr std::array kinds = {"sound", "rejected", "throwing", "unreadable"};
  return info.param.method.name + "_" + kinds[static_cast<size_t>(info.param.kind)];
}

INSTANTIATE_TEST_SUITE_P(Presets, LongRuns, ::testing::ValuesIn(runs()), name_of);

}  // namespace
}  // namespace natgrad::testing::memory_test
