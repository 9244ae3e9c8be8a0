// docs/faults.md, rows 62 to 68: archives, lifetimes, threads and memory.

#include <natgrad/optim/presets.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <thread>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_state_test {
namespace {

namespace F = torch::nn::functional;

using Parameters = std::vector<Tensor>;

Tensor leaf(at::IntArrayRef shape, uint64_t seed) { return randn(shape, seed).requires_grad_(); }

void load(torch::optim::Optimizer& optimizer, const std::string& bytes) {
  std::istringstream stream(bytes);
  torch::load(optimizer, stream);
}

/// An optimizer of such parameters after two steps.
NaturalGradient trained(const Parameters& parameters, const NaturalGradientOptions& options = {}) {
  NaturalGradient optimizer(parameters, options);
  for (uint64_t k = 0; k < 2; ++k) {
    optimizer.step([&] {
      const auto numbers = flat(parameters);
      const auto x = randn({6, numbers.numel()}, 10 + k).to(numbers.dtype());
      return F::mse_loss(x.mv(numbers), randn({6}, 20 + k).to(numbers.dtype()));
    });
  }
  return optimizer;
}

/// Expects `bytes` to be refused by a trained optimizer with everything as it was.
void expect_refused(const std::string& bytes, const std::string& needle = "") {
  const Parameters parameters = {leaf({3, 2}, 1), leaf({4}, 2)};
  auto optimizer = trained(parameters);
  const Snapshot before(parameters, nullptr, &optimizer);
  if (needle.empty()) {
    EXPECT_ANY_THROW(load(optimizer, bytes));
  } else {
    expect_error([&] { load(optimizer, bytes); }, needle);
  }
  before.expect_unchanged();
}

// ---- Row 62: the state of another model. ----

TEST(FaultsState, Row62AnotherNumberOfParametersIsRefused) {
  expect_refused(saved_state(trained({leaf({3, 2}, 1)})), "other shapes");
  expect_refused(saved_state(trained({leaf({3, 2}, 1), leaf({4}, 2), leaf({}, 3)})),
                 "other shapes");
}

TEST(FaultsState, Row62AnotherShapeOfAsManyNumbersIsRefused) {
  expect_refused(saved_state(trained({leaf({2, 3}, 1), leaf({4}, 2)})), "other shapes");
  expect_refused(saved_state(trained({leaf({6}, 1), leaf({4}, 2)})), "other shapes");
  expect_refused(saved_state(trained({leaf({4}, 1), leaf({3, 2}, 2)})), "other shapes");
}

TEST(FaultsState, Row62AnotherDtypeIsRefused) {
  const auto single = [](const Tensor& t) { return t.detach().to(torch::kFloat).requires_grad_(); };
  expect_refused(saved_state(trained({single(leaf({3, 2}, 1)), single(leaf({4}, 2))})),
                 "convert the model first");
}

TEST(FaultsState, Row62OtherGroupsAreRefused) {
  using Groups = std::vector<torch::optim::OptimizerParamGroup>;
  const NaturalGradient two(Groups{Parameters{leaf({3, 2}, 1)}, Parameters{leaf({4}, 2)}});
  expect_refused(saved_state(two), "parameter groups");
}

TEST(FaultsState, Row62APreconditionersStateIsRefusedWhereThereIsNone) {
  const Parameters parameters = {leaf({3, 2}, 1), leaf({4}, 2)};
  expect_refused(saved_state(trained(parameters, presets::kfac())));
}

// ---- Row 63: no archive. ----

TEST(FaultsState, Row63ATruncatedArchiveIsRefusedWhereverItEnds) {
  const auto whole = saved_state(trained({leaf({3, 2}, 1), leaf({4}, 2)}));
  for (size_t part = 0; part < 40; ++part)
    expect_refused(whole.substr(0, whole.size() * part / 40));
  expect_refused(whole.substr(0, whole.size() - 1));
}

TEST(FaultsState, Row63GarbageIsRefused) {
  std::string noise(5000, '\0');
  const auto numbers = torch::randint(256, {5000}, seeded(1), torch::TensorOptions(torch::kLong));
  for (int64_t i = 0; i < 5000; ++i)
    noise[static_cast<size_t>(i)] = static_cast<char>(numbers[i].item<int64_t>());
  for (const auto& bytes : {std::string(), std::string("garbage"), std::string(5000, '\0'), noise})
    expect_refused(bytes);
  std::ostringstream tensor;
  torch::save(torch::ones({3}), tensor);
  expect_refused(tensor.str());
}

// ---- Row 64: what is saved goes on. Each preset's: checkpoint_test.cpp. ----

TEST(FaultsState, Row64LoadingIntoTheSameOptimizerTwiceIsLoadingOnce) {
  const Parameters parameters = {leaf({3, 2}, 1), leaf({4}, 2)};
  auto optimizer = trained(parameters);
  const auto state = saved_state(optimizer);
  for (int k = 0; k < 2; ++k) {
    load(optimizer, state);
    EXPECT_TRUE(saved_state(optimizer) == state);
  }
}

// ---- Row 66: lifetimes. ----

TEST(FaultsState, Row66ParametersOutliveTheOptimizer) {
  Training training;
  training.good_step();
  const auto loss = training.loss(1);
  const auto theta = training.theta();
  training.optimizer.reset();
  EXPECT_TRUE(same_bits(training.theta(), theta));
  EXPECT_NO_THROW(loss.backward());
  EXPECT_TRUE(training.parameters()[0].grad().defined());
}

TEST(FaultsState, Row66TheOptimizerOutlivesTheModel) {
  auto model = classifier(/*noisy=*/true);
  NaturalGradient optimizer(model->parameters(), NaturalGradientOptions().module(model.ptr()));
  optimizer.step(
      [&] { return F::cross_entropy(model->forward(Training::inputs(0)), Training::labels(0)); });
  model = nullptr;
  EXPECT_FALSE(saved_state(optimizer).empty());
  const auto loss = [&] { return flat(optimizer.param_groups()[0].params()).square().mean(); };
  EXPECT_NO_THROW(optimizer.step(loss));
}

TEST(FaultsState, Row66AnOptimizerThatIsMovedInItsClosureGoesOnBeforeTheNextStep) {
  Training moving, sound;
  const auto step = [](Training& training, int64_t k) {
    training.optimizer->step([&] { return training.loss(k); });
  };
  step(moving, 0);
  moving.optimizer = std::make_unique<NaturalGradient>(std::move(*moving.optimizer));
  step(moving, 1);
  for (int64_t k = 0; k < 2; ++k) step(sound, k);
  EXPECT_TRUE(same_bits(moving.theta(), sound.theta()));
}

// ---- Row 67: two threads. ----

struct FaultsRow67
    : ::testing::TestWithParam<std::pair<const char*, NaturalGradientOptions (*)()>> {
  static void train(Training& training) {
    for (int k = 0; k < 8; ++k) training.good_step();
  }
};

TEST_P(FaultsRow67, TwoOptimizersInTwoThreadsAreBitwiseTheSerialOnes) {
  const auto options = GetParam().second();
  Training serial(options);
  train(serial);
  std::array<std::unique_ptr<Training>, 2> parallel;
  for (auto& training : parallel) training = std::make_unique<Training>(options);
  std::thread first([&] { train(*parallel[0]); }), second([&] { train(*parallel[1]); });
  first.join();
  second.join();
  for (const auto& training : parallel) {
    EXPECT_TRUE(same_bits(training->theta(), serial.theta()));
    EXPECT_TRUE(saved_state(*training->optimizer) == saved_state(*serial.optimizer));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Presets, FaultsRow67,
    ::testing::Values(std::pair(
                          "Default", +[] { return NaturalGradientOptions(); }),
                      std::pair(
                          "NaturalGradient", +[] { return presets::natural_gradient(0.1); }),
                      std::pair(
                          "HessianFree", +[] { return presets::hessian_free(); }),
                      std::pair(
                          "KrylovSubspaceDescent",
                          +[] { return presets::krylov_subspace_descent(4); }),
                      std::pair(
                          "Kfac", +[] { return presets::kfac(); }),
                      std::pair(
                          "LeastSquares", +[] { return presets::least_squares(); })),
    [](const auto& info) { return info.param.first; });

}  // namespace
}  // namespace natgrad::testing::faults_state_test
