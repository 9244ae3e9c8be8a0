// Optimizers in threads of their own take, bit for bit, the steps that they take one after another;
// and two readings of one graph may be used at once.

#include <gtest/gtest.h>
#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <latch>
#include <thread>

#include "fuzz/steps.h"
#include "fuzz/watch.h"
#include "support/oracles.h"
#include "support/snapshot.h"

namespace natgrad::testing::threads_test {
namespace {

namespace F = torch::nn::functional;

constexpr int kSteps = 12;
constexpr uint64_t kThreads = 3;

/// θ after some steps on a net of its own.
Tensor trained(const NaturalGradientOptions& options, uint64_t seed) {
  auto W = (0.5 * randn({5, 3}, seed)).requires_grad_();
  auto V = (0.5 * randn({3, 5}, seed + 50)).requires_grad_();
  const auto x = randn({10, 3}, seed + 90);
  const auto y = torch::randint(3, {10}, seeded(seed), torch::TensorOptions(torch::kLong));
  NaturalGradient optimizer(std::vector<Tensor>{W, V}, options);
  for (int step = 0; step < kSteps; ++step) {
    optimizer.step([&] { return F::cross_entropy(x.mm(W.t()).tanh().mm(V.t()), y); });
  }
  return torch::cat({W.detach().flatten(), V.detach().flatten()});
}

/// What `work` answers for 0, ..., kThreads - 1, all at once.
std::vector<Tensor> at_once(const std::function<Tensor(uint64_t)>& work) {
  std::vector<Tensor> results(kThreads);
  std::latch start(kThreads);
  {
    std::vector<std::jthread> threads;
    for (uint64_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        at::set_num_threads(1);
        start.arrive_and_wait();
        results[i] = work(i);
      });
    }
  }
  return results;
}

struct Threads : ::testing::TestWithParam<fuzz::NamedOptions> {};

TEST_P(Threads, TakeTheStepsOfARunByItself) {
  const fuzz::Quiet quiet;
  at::set_num_threads(1);
  const auto work = [&](uint64_t seed) { return trained(GetParam().options, seed); };
  const auto together = at_once(work);
  for (uint64_t seed = 0; seed < kThreads; ++seed) {
    EXPECT_TRUE(same_bits(together[seed], work(seed))) << "thread " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, Threads, ::testing::ValuesIn(fuzz::all_presets()),
                         [](const auto& info) { return info.param.name; });

TEST(ThreadsTest, ReadOneGraphAtOnce) {
  at::set_num_threads(1);
  auto W = randn({5, 3}, 1).requires_grad_(), V = randn({3, 5}, 2).requires_grad_();
  const auto z = randn({10, 3}, 3).mm(W.t()).tanh().mm(V.t());
  const auto loss =
      F::cross_entropy(z, torch::randint(3, {10}, seeded(4), torch::TensorOptions(torch::kLong)));
  const auto matrix = [&](uint64_t which) {
    const LossGraph graph(loss, {W, V});
    switch (which) {
      case 0:
        return dense(gauss_newton(graph));
      case 1:
        return dense(score_rows(graph));
      default:
        return dense(hessian(graph));
    }
  };
  for (int round = 0; round < 20; ++round) {
    const auto together = at_once(matrix);
    for (uint64_t which = 0; which < kThreads; ++which) {
      ASSERT_TRUE(same_bits(together[which], matrix(which))) << which << " in round " << round;
    }
  }
}

}  // namespace
}  // namespace natgrad::testing::threads_test
