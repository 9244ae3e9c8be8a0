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

const std::vector<Purpose> kPurposes = {
    Purpose::Linearity,     Purpose::Linearization,  Purpose::HiddenStates, Purpose::Curvature,
    Purpose::DampingMatrix, Purpose::Preconditioner, Purpose::Noise};

torch::Tensor draw(const RandomStreams& streams, Purpose purpose) {
  auto generator = streams.generator(purpose);
  return random_normal({50}, torch::kDouble, generator);
}

TEST(RandomStreamsTest, EachBeginsAnewWhateverElseWasDrawn) {
  const RandomStreams streams(7, 3), same(7, 3);
  std::vector<torch::Tensor> drawn;
  for (const auto purpose : kPurposes) drawn.push_back(draw(streams, purpose));
  for (size_t k = kPurposes.size(); k-- > 0;) {
    EXPECT_TRUE(torch::equal(draw(same, kPurposes[k]), drawn[k]));
  }
}

TEST(RandomStreamsTest, PurposesSeedsAndStepsDiffer) {
  std::vector<torch::Tensor> drawn;
  // 2^40: the twister takes the lower 32 bits of a seed alone.
  for (const uint64_t step : {uint64_t{3}, uint64_t{4}, uint64_t{3} + (uint64_t{1} << 40)}) {
    for (const auto purpose : kPurposes) drawn.push_back(draw(RandomStreams(7, step), purpose));
  }
  for (const auto purpose : kPurposes) drawn.push_back(draw(RandomStreams(8, 3), purpose));
  for (size_t i = 0; i < drawn.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(torch::equal(drawn[i], drawn[j])) << i << " " << j;
  }
}

TEST(RandomStreamsTest, AGeneratorStandsForItsSeedAndIsNotDrawnFrom) {
  auto generator = make_generator(7, 3);
  const auto before = generator.get_state();
  const RandomStreams of_generator(generator);
  random_normal({10}, torch::kFloat, generator);
  EXPECT_TRUE(torch::equal(draw(generator, Purpose::Noise), draw(of_generator, Purpose::Noise)));
  EXPECT_TRUE(
      torch::equal(draw(of_generator, Purpose::Noise), draw(RandomStreams(7, 3), Purpose::Noise)));
  EXPECT_TRUE(torch::equal(make_generator(7, 3).get_state(), before));
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
