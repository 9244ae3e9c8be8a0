// Archives that earlier versions wrote are taken up as they were. Each file holds parameters after
// six steps, the optimizer's archive then, and the parameters three steps later.

#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include "support/oracles.h"

namespace natgrad::testing::archives_test {
namespace {

namespace F = torch::nn::functional;

// Another processor or LibTorch rounds otherwise, and a few steps carry that on.
constexpr double kOtherRounding = 1e-9;

struct Kept {
  std::string name, file;
  int64_t accepted;  // steps of the nine
  NaturalGradientOptions options;
};

class KeptArchiveTest : public ::testing::TestWithParam<Kept> {
 protected:
  Tensor entry(const std::string& key) {
    Tensor value;
    archive.read(key, value, /*is_buffer=*/true);
    return value;
  }
  void SetUp() override {
    archive.load_from(NATGRAD_ARCHIVES "/" + GetParam().file);
    above = entry("above").requires_grad_();
    below = entry("below").requires_grad_();
  }
  void train(NaturalGradient& optimizer) const {
    const auto labels = torch::tensor({0, 1, 2, 0, 1, 2, 0, 1});
    for (int64_t k = 6; k < 9; ++k) {
      const auto x = randn({8, 5}, 100 + k);
      optimizer.step(
          [&] { return F::cross_entropy(x.mm(below.t()).tanh().mm(above.t()), labels); });
    }
  }
  double distance() {
    return std::max(relative_error(above, entry("above_later")),
                    relative_error(below, entry("below_later")));
  }
  torch::serialize::InputArchive archive;
  Tensor above, below;
};

TEST_P(KeptArchiveTest, GoesOnAsItDidThen) {
  NaturalGradient optimizer({above, below}, GetParam().options);
  torch::serialize::InputArchive state;
  archive.read("optimizer", state);
  optimizer.load(state);
  train(optimizer);
  EXPECT_EQ(optimizer.summary().step, GetParam().accepted);
  EXPECT_LE(distance(), kOtherRounding);
}

// Or the above would hold without the archive.
TEST_P(KeptArchiveTest, WithoutTheStateItGoesElsewhere) {
  NaturalGradient optimizer({above, below}, GetParam().options);
  train(optimizer);
  EXPECT_GT(distance(), 1e3 * kOtherRounding);
}

INSTANTIATE_TEST_SUITE_P(
    All, KeptArchiveTest,
    ::testing::Values(Kept{"Default4", "version_4_default.pt", 9, {}},
                      Kept{"HessianFree4", "version_4_hessian_free.pt", 8, presets::hessian_free()},
                      Kept{"Kfac4", "version_4_kfac.pt", 9, presets::kfac()},
                      Kept{"Default5", "version_5_default.pt", 9, {}},
                      Kept{"HessianFree5", "version_5_hessian_free.pt", 8, presets::hessian_free()},
                      Kept{"Kfac5", "version_5_kfac.pt", 9, presets::kfac()}),
    [](const auto& info) { return info.param.name; });

// A file of save_checkpoint, version 1: 5-4-3 of tanh, without biases, after six steps.
TEST(KeptCheckpointTest, GoesOnAsItDidThen) {
  const auto layer = [](int64_t in, int64_t out) {
    return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
  };
  torch::nn::Sequential model(layer(5, 4), torch::nn::Tanh(), layer(4, 3));
  model->to(torch::kDouble);
  NaturalGradient optimizer(model->parameters());
  const auto later = load_checkpoint(model, optimizer, NATGRAD_ARCHIVES "/checkpoint_1.pt");
  const auto labels = torch::tensor({0, 1, 2, 0, 1, 2, 0, 1});
  for (int64_t k = 6; k < 9; ++k) {
    const auto x = randn({8, 5}, 100 + k);
    optimizer.step([&] { return F::cross_entropy(model->forward(x), labels); });
  }
  EXPECT_EQ(optimizer.summary().step, 9);
  EXPECT_LE(relative_error(model->parameters()[0], later.at("below_later")), kOtherRounding);
  EXPECT_LE(relative_error(model->parameters()[1], later.at("above_later")), kOtherRounding);
}

}  // namespace
}  // namespace natgrad::testing::archives_test
