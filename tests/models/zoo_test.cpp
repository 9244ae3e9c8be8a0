// Models as people write them train with the default options: nothing is thrown, nothing is warned
// of but what their entry lists, and they end where Adam at its best rate would be, or lower.

#include "models/zoo.h"

#include <gtest/gtest.h>
#include <natgrad/natgrad.h>

#include <algorithm>
#include <string>

namespace natgrad::testing::zoo_test {
namespace {

constexpr uint64_t kSeed = 0;  // of which the goals are

/// Collects LibTorch's warnings while it lives.
class Warnings : public c10::WarningHandler {
 public:
  Warnings() : guard_(this) {}
  void process(const c10::Warning& warning) override { texts.push_back(warning.msg()); }
  std::vector<std::string> texts;

 private:
  c10::WarningUtils::WarningHandlerGuard guard_;
};

struct ZooTest : ::testing::TestWithParam<zoo::Entry> {
  void expect_listed(const std::vector<std::string>& warnings) const {
    const auto& listed = GetParam().expect.warnings;
    for (const auto& text : warnings) {
      EXPECT_TRUE(std::any_of(listed.begin(), listed.end(), [&](const char* part) {
        return text.find(part) != std::string::npos;
      })) << text;
    }
  }
};

TEST_P(ZooTest, TrainsByDefault) {
  const auto model = GetParam().start(kSeed);
  const Warnings warnings;
  NaturalGradient optimizer(model.parameters);
  for (int64_t step = 0; step < zoo::kSteps; ++step) {
    ASSERT_NO_THROW(optimizer.step(model.loss(step))) << "step " << step;
  }
  for (const auto& p : model.parameters) EXPECT_TRUE(p.isfinite().all().item<bool>());
  EXPECT_LE(zoo::full_loss(model), GetParam().expect.goal) << optimizer.summary().message();
  expect_listed(warnings.texts);
}

INSTANTIATE_TEST_SUITE_P(Zoo, ZooTest, ::testing::ValuesIn(zoo::zoo()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace natgrad::testing::zoo_test
