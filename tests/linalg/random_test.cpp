#include <gtest/gtest.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

namespace natgrad::testing::random_test {
namespace {

// A mean of n signs has the standard deviation 1/√n: five of them are left by chance once in 2
// million.
constexpr double kStandardDeviations = 5;

TEST(RandomTest, ASeedAndStreamAlwaysDrawTheSameNumbers) {
  auto first = make_generator(7, 3), second = make_generator(7, 3);
  const auto like = torch::empty({50});
  EXPECT_TRUE(torch::equal(random_signs_like(like, first), random_signs_like(like, second)));
  EXPECT_TRUE(torch::equal(random_normal({50}, torch::kDouble, first),
                           random_normal({50}, torch::kDouble, second)));
}

TEST(RandomTest, NeighbouringSeedsAndStreamsDiffer) {
  const auto draw = [](uint64_t seed, uint64_t stream) {
    auto generator = make_generator(seed, stream);
    return random_normal({50}, torch::kDouble, generator);
  };
  EXPECT_FALSE(torch::equal(draw(7, 3), draw(7, 4)));
  EXPECT_FALSE(torch::equal(draw(7, 3), draw(8, 3)));
}

TEST(RandomTest, SignsAreOnesOfEitherSignInEqualNumbers) {
  auto generator = make_generator(0);
  const auto signs = random_signs_like(torch::empty({100, 100}, torch::kDouble), generator);
  EXPECT_TRUE(torch::equal(signs.abs(), torch::ones_like(signs)));
  EXPECT_LT(std::abs(signs.mean().item<double>()), kStandardDeviations / 100);
}

TEST(RandomTest, TheDefaultGeneratorIsLeftAlone) {
  auto generator = make_generator(0);
  const auto before = at::globalContext().defaultGenerator(torch::kCPU).get_state();
  random_signs_like(torch::empty({10}), generator);
  random_normal({10}, torch::kFloat, generator);
  EXPECT_TRUE(torch::equal(before, at::globalContext().defaultGenerator(torch::kCPU).get_state()));
}

}  // namespace
}  // namespace natgrad::testing::random_test
