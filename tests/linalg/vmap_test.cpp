#include "linalg/vmap.h"

#include "support/oracles.h"

namespace natgrad::testing::vmap_test {
namespace {

// Sums of a few products in double, in another order.
constexpr double kRounding = 1e-14;

Tensor one_by_one(const TensorFunction& f, const std::vector<Tensor>& batches) {
  std::vector<Tensor> results;
  for (int64_t k = 0; k < batches[0].size(0); ++k) {
    std::vector<Tensor> slices;
    for (const auto& batch : batches) slices.push_back(batch[k]);
    results.push_back(f(slices));
  }
  return torch::stack(results);
}

TEST(VmapTest, IsTheFunctionOfEachSlice) {
  const auto a = randn({5, 3, 4}, 1), b = randn({5, 4}, 2);
  const TensorFunction f = [](const auto& t) { return t[0].matmul(t[1]).tanh().cumsum(0); };
  const auto together = vmap(f, {a, b});
  ASSERT_TRUE(together);
  EXPECT_LT(relative_error(*together, one_by_one(f, {a, b})), kRounding);
}

TEST(VmapTest, CallsTheFunctionOnceForAllSlices) {
  int calls = 0;
  const auto result = vmap(
      [&](const auto& t) {
        ++calls;
        return 2 * t[0];
      },
      {randn({7, 2}, 3)});
  ASSERT_TRUE(result);
  EXPECT_EQ(calls, 1);
}

TEST(VmapTest, AResultThatDoesNotDependOnTheSliceIsRepeated) {
  const auto fixed = randn({3}, 4);
  const auto result = vmap([&](const auto&) { return fixed.clone(); }, {randn({4, 2}, 5)});
  ASSERT_TRUE(result);
  EXPECT_TRUE(identical(*result, fixed.expand({4, 3})));
}

// A function that looks at values cannot run for all slices at once.
TEST(VmapTest, AnswersNothingForAFunctionThatReadsValues) {
  const auto result = vmap([](const auto& t) { return t[0] * t[0].sum().template item<double>(); },
                           {randn({4, 2}, 6)});
  EXPECT_FALSE(result);
  // and leaves LibTorch as it was.
  EXPECT_TRUE(vmap([](const auto& t) { return t[0].clone(); }, {randn({4, 2}, 7)}));
  EXPECT_NO_THROW(randn({4, 2}, 8).sum().item<double>());
}

TEST(VmapTest, AnswersNothingForAFunctionThatWritesElsewhere) {
  auto elsewhere = torch::zeros({2}, torch::kDouble);
  EXPECT_FALSE(vmap([&](const auto& t) { return elsewhere.copy_(t[0]); }, {randn({4, 2}, 9)}));
}

TEST(VmapTest, OtherExceptionsPassAndLeaveLibTorchAsItWas) {
  EXPECT_THROW(
      vmap([](const auto&) -> Tensor { throw std::runtime_error("stop"); }, {randn({4, 2}, 10)}),
      std::runtime_error);
  EXPECT_FALSE(is_batched(torch::ones({1})));
  EXPECT_TRUE(vmap([](const auto& t) { return t[0].clone(); }, {randn({4, 2}, 11)}));
}

// That says nothing of the function: to loop would hide it, or run out again.
TEST(VmapTest, MemoryThatHasRunOutIsNoReasonToLoop) {
  const auto throws = [](const auto&) -> Tensor {
    C10_THROW_ERROR(OutOfMemoryError, "no memory left");
  };
  EXPECT_THROW(vmap(throws, {randn({4, 2}, 13)}), c10::OutOfMemoryError);
  constexpr int64_t kMoreThanThereIs = int64_t{1} << 50;
  const auto allocates = [](const auto& t) {
    return t[0] + torch::empty({kMoreThanThereIs}, torch::kDouble);
  };
  EXPECT_THROW(vmap(allocates, {randn({4, 2}, 14)}), c10::Error);
}

TEST(VmapTest, InsideTheSlicesAreBatchedAndTheirValuesCanBeTakenOut) {
  const auto rows = randn({4, 2}, 12);
  Tensor seen;
  bool batched = false;
  vmap(
      [&](const auto& t) {
        batched = is_batched(t[0]);
        seen = batch_values(t[0] + 1);
        return t[0].clone();
      },
      {rows});
  EXPECT_TRUE(batched);
  EXPECT_TRUE(identical(seen, rows + 1));
  EXPECT_FALSE(is_batched(rows));
}

}  // namespace
}  // namespace natgrad::testing::vmap_test
