#include "optim/trainable.h"
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "support/oracles.h"

namespace natgrad::testing::trainable_test {
namespace {

using torch::Tensor;
using torch::optim::OptimizerParamGroup;

OptimizerParamGroup group_of(std::vector<Tensor> parameters,
                             const NaturalGradientOptions& options) {
  return {std::move(parameters), std::make_unique<NaturalGradientOptions>(options)};
}

Tensor parameter(std::initializer_list<double> values) {
  return torch::tensor(std::vector<double>(values), torch::kDouble).requires_grad_();
}

TEST(TrainableTest, TakesThoseThatRequireAGradientAndKeepsTheirGroups) {
  const auto a = parameter({1}), frozen = parameter({2}), c = parameter({3, 4});
  frozen.requires_grad_(false);
  const std::vector<OptimizerParamGroup> groups = {
      group_of({a, frozen}, NaturalGradientOptions(0.5)),
      group_of({c}, NaturalGradientOptions(0.25))};
  const auto trainable = trainable_of(groups);
  ASSERT_EQ(trainable.parameters.size(), 2u);
  EXPECT_TRUE(trainable.parameters[0].is_same(a));
  EXPECT_TRUE(trainable.parameters[1].is_same(c));
  EXPECT_EQ(trainable.groups[1].begin, 1u);
  EXPECT_EQ(trainable.groups[1].end, 2u);
  EXPECT_EQ(trainable.groups[1].options->lr(), 0.25);
}

TEST(TrainableTest, ThrowsIfEverythingIsFrozen) {
  auto a = parameter({1});
  a.requires_grad_(false);
  const std::vector<OptimizerParamGroup> groups = {group_of({a}, {})};
  testing::expect_error([&] { trainable_of(groups); }, "requires_grad_(true)");
}

TEST(TrainableTest, WeightDecayIsAVectorOfTheGroupsValues) {
  const auto a = parameter({1}), c = parameter({3, 4});
  const std::vector<OptimizerParamGroup> groups = {
      group_of({a}, {}), group_of({c}, NaturalGradientOptions().weight_decay(0.5))};
  const auto trainable = trainable_of(groups);
  const ParameterLayout layout(trainable.parameters);
  EXPECT_TRUE(torch::equal(weight_decay(trainable, layout),
                           torch::tensor({0.0, 0.5, 0.5}, torch::kDouble)));
}

TEST(TrainableTest, WithoutWeightDecayThereIsNoVector) {
  const std::vector<OptimizerParamGroup> groups = {group_of({parameter({1})}, {})};
  const auto trainable = trainable_of(groups);
  EXPECT_FALSE(weight_decay(trainable, ParameterLayout(trainable.parameters)).defined());
}

TEST(TrainableTest, EachGroupHasItsOwnRate) {
  const auto a = parameter({1}), c = parameter({3, 4});
  const std::vector<OptimizerParamGroup> groups = {group_of({a}, NaturalGradientOptions(0.5)),
                                                   group_of({c}, NaturalGradientOptions(0.25))};
  const auto trainable = trainable_of(groups);
  const torch::NoGradGuard no_grad;
  const auto delta = torch::tensor({6.0, 4.0, 16.0}, torch::kDouble);
  const auto displacement = at_rates(trainable, delta, 0.5);
  EXPECT_TRUE(torch::equal(displacement, torch::tensor({1.5, 0.5, 2.0}, torch::kDouble)));
  EXPECT_TRUE(torch::equal(delta, torch::tensor({6.0, 4.0, 16.0}, torch::kDouble)));
  move_parameters(ParameterLayout(trainable.parameters), displacement);
  EXPECT_EQ(a.item<double>(), 2.5);
  EXPECT_TRUE(torch::equal(c, torch::tensor({3.5, 6.0}, torch::kDouble)));
}

TEST(TrainableTest, OneRateForAllIsTheSame) {
  const auto a = parameter({1}), c = parameter({3, 4});
  const std::vector<OptimizerParamGroup> groups = {group_of({a, c}, NaturalGradientOptions(0.5))};
  const auto delta = torch::tensor({6.0, 4.0, 16.0}, torch::kDouble);
  EXPECT_TRUE(torch::equal(at_rates(trainable_of(groups), delta, 0.5), 0.25 * delta));
}

}  // namespace
}  // namespace natgrad::testing::trainable_test
