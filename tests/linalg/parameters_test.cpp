#include <natgrad/linalg/parameters.h>

#include "support/oracles.h"

namespace natgrad::testing::parameters_test {
namespace {

Tensor leaf(const Tensor& t) { return t.detach().requires_grad_(); }

// Every kind of tensor that may be a parameter: plain, transposed, a column slice of a larger one,
// 0-d, without elements, with a dimension of size one.
std::vector<Tensor> assorted_parameters() {
  return {leaf(randn({3, 2}, 1)),
          leaf(randn({4, 3}, 2).t()),
          leaf(randn({5, 6}, 3).slice(/*dim=*/1, /*start=*/1, /*end=*/6, /*step=*/2)),
          leaf(randn({}, 4)),
          leaf(randn({0, 7}, 5)),
          leaf(randn({1, 2, 1}, 6))};
}

constexpr int64_t kAssortedSize = 6 + 12 + 15 + 1 + 0 + 2;

// Element by element in index order, without reshape or cat.
std::vector<double> in_index_order(const std::vector<Tensor>& tensors) {
  std::vector<double> numbers;
  for (const auto& t : tensors) {
    const auto rows = t.dim() < 2 ? t.reshape({1, -1}) : t.flatten(1);
    for (int64_t i = 0; i < rows.size(0); ++i) {
      for (int64_t j = 0; j < rows.size(1); ++j) numbers.push_back(rows[i][j].item<double>());
    }
  }
  return numbers;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return torch::equal(a.detach().contiguous().view(torch::kLong),
                      b.detach().contiguous().view(torch::kLong));
}

TEST(ParameterLayoutTest, SizeCountsEveryScalarOnce) {
  EXPECT_EQ(ParameterLayout(assorted_parameters()).size(), kAssortedSize);
}

TEST(ParameterLayoutTest, ValuesAreTheParametersInIndexOrder) {
  const auto parameters = assorted_parameters();
  const auto values = ParameterLayout(parameters).values();
  EXPECT_EQ(values.sizes(), torch::IntArrayRef({kAssortedSize}));
  EXPECT_TRUE(identical(values, torch::tensor(in_index_order(parameters), torch::kDouble)));
}

TEST(ParameterLayoutTest, ValuesAreACopyWithoutGradient) {
  const auto only = leaf(randn({4}, 1));
  const auto before = only.detach().clone();
  const auto values = ParameterLayout({only}).values();
  EXPECT_FALSE(values.requires_grad());
  values.fill_(7);
  EXPECT_TRUE(identical(only.detach(), before));
}

TEST(ParameterLayoutTest, AssignThenValuesIsTheIdentity) {
  const ParameterLayout layout(assorted_parameters());
  const auto flat = randn({kAssortedSize}, 9);
  layout.assign(flat);
  EXPECT_TRUE(identical(layout.values(), flat));
}

TEST(ParameterLayoutTest, AssignWritesInPlaceAndKeepsStrides) {
  const auto parameters = assorted_parameters();
  std::vector<void*> storage;
  std::vector<std::vector<int64_t>> strides;
  for (const auto& t : parameters) {
    storage.push_back(t.data_ptr());
    strides.push_back(t.strides().vec());
  }
  ParameterLayout(parameters).assign(randn({kAssortedSize}, 9));
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_EQ(parameters[i].data_ptr(), storage[i]) << "parameter " << i;
    EXPECT_EQ(parameters[i].strides().vec(), strides[i]) << "parameter " << i;
    EXPECT_TRUE(parameters[i].requires_grad() && parameters[i].is_leaf()) << "parameter " << i;
  }
}

TEST(ParameterLayoutTest, AssignLeavesTheGapsOfAStridedParameterAlone) {
  const auto whole = torch::zeros({4, 4}, torch::kDouble);
  ParameterLayout({whole.slice(1, 0, 4, 2)}).assign(torch::ones({8}, torch::kDouble));
  EXPECT_TRUE(torch::equal(whole.slice(1, 0, 4, 2), torch::ones({4, 2}, torch::kDouble)));
  EXPECT_TRUE(torch::equal(whole.slice(1, 1, 4, 2), torch::zeros({4, 2}, torch::kDouble)));
}

// A step that is taken back must restore parameters bitwise, whatever they hold.
TEST(ParameterLayoutTest, AssignCopiesBitForBit) {
  const auto odd =
      torch::tensor({-0.0, std::nan(""), HUGE_VAL, -HUGE_VAL, 5e-324, 0.1}, torch::kDouble);
  const auto parameter = leaf(torch::zeros({3, 2}, torch::kDouble).t());
  const ParameterLayout layout({parameter});
  layout.assign(odd);
  EXPECT_TRUE(same_bits(parameter, odd.view({2, 3})));
  EXPECT_TRUE(same_bits(layout.values(), odd));
}

TEST(ParameterLayoutTest, AssignWorksInsideNoGradAndOutside) {
  const auto parameter = leaf(torch::zeros({2}, torch::kDouble));
  const ParameterLayout layout({parameter});
  layout.assign(torch::ones({2}, torch::kDouble));
  {
    torch::NoGradGuard no_grad;
    layout.assign(torch::full({2}, 2.0, torch::kDouble));
  }
  EXPECT_EQ(parameter.sum().item<double>(), 4);
  EXPECT_TRUE(parameter.is_leaf());
}

// In-place edits between a graph and its use are found by version counters: assign must not hide.
TEST(ParameterLayoutTest, AssignIsSeenByAutograd) {
  const auto parameter = leaf(randn({2}, 1));
  const auto loss = parameter.square().sum();
  ParameterLayout({parameter}).assign(torch::ones({2}, torch::kDouble));
  expect_error([&] { torch::autograd::grad({loss}, {parameter}); }, "inplace");
}

TEST(ParameterLayoutTest, ViewsHaveTheParametersShapesAndShareMemory) {
  const auto parameters = assorted_parameters();
  const ParameterLayout layout(parameters);
  const auto flat = layout.values();
  const auto views = layout.views(flat);
  ASSERT_EQ(views.size(), parameters.size());
  for (size_t i = 0; i < views.size(); ++i) {
    EXPECT_TRUE(identical(views[i], parameters[i].detach())) << "parameter " << i;
    views[i].fill_(static_cast<double>(i));
  }
  const std::vector<double> expected = in_index_order(views);
  EXPECT_TRUE(identical(flat, torch::tensor(expected, torch::kDouble)));
  EXPECT_EQ(flat[-1].item<double>(), 5);
}

TEST(ParameterLayoutTest, FlattenInvertsViews) {
  const ParameterLayout layout(assorted_parameters());
  const auto flat = randn({kAssortedSize}, 8);
  EXPECT_TRUE(identical(layout.flatten(layout.views(flat)), flat));
}

TEST(ParameterLayoutTest, FlattenTakesAnUndefinedTensorAsZero) {
  const ParameterLayout layout({leaf(randn({2}, 1)), leaf(randn({2, 1}, 2)), leaf(randn({}, 3))});
  const auto flat = layout.flatten({torch::ones({2}, torch::kDouble), Tensor(), Tensor()});
  EXPECT_TRUE(identical(flat, torch::tensor({1.0, 1.0, 0.0, 0.0, 0.0}, torch::kDouble)));
  EXPECT_TRUE(
      identical(layout.flatten({Tensor(), Tensor(), Tensor()}), torch::zeros({5}, torch::kDouble)));
}

// Autograd returns expanded tensors as gradients, of sum() for one.
TEST(ParameterLayoutTest, FlattenReadsStridedAndExpandedGradients) {
  const ParameterLayout layout({leaf(randn({2, 3}, 1)), leaf(randn({3, 2}, 2))});
  const auto expanded = torch::full({1, 1}, 0.5, torch::kDouble).expand({2, 3});
  const auto transposed = torch::arange(6, torch::kDouble).view({2, 3}).t();
  const auto flat = layout.flatten({expanded, transposed});
  EXPECT_TRUE(identical(
      flat, torch::tensor({.5, .5, .5, .5, .5, .5, 0., 3., 1., 4., 2., 5.}, torch::kDouble)));
}

TEST(ParameterLayoutTest, FlattenRefusesWhatDoesNotFit) {
  const ParameterLayout layout({leaf(randn({2, 3}, 1)), leaf(randn({3}, 2))});
  const auto good = torch::zeros({2, 3}, torch::kDouble);
  const auto vector = torch::zeros({3}, torch::kDouble);
  expect_error([&] { layout.flatten({good}); }, "expected 2 tensors");
  expect_error([&] { layout.flatten({good, vector, vector}); }, "got 3");
  expect_error([&] { layout.flatten({good.t(), vector}); }, "parameter 0");
  expect_error([&] { layout.flatten({good, vector.unsqueeze(1)}); }, "parameter 1");
  expect_error([&] { layout.flatten({good.to_sparse(), vector}); }, "dense");
}

TEST(ParameterLayoutTest, ViewsAndAssignRefuseOtherLengths) {
  const ParameterLayout layout({leaf(randn({2, 3}, 1))});
  for (const auto& wrong : {randn({5}, 1), randn({7}, 1), randn({6, 1}, 1), randn({2, 3}, 1)}) {
    expect_error([&] { layout.views(wrong); }, "expected a vector of [6]");
    expect_error([&] { layout.assign(wrong); }, "expected a vector of [6]");
  }
}

TEST(ParameterLayoutTest, RefusedAssignmentLeavesParametersUnchanged) {
  const std::vector<Tensor> parameters = {leaf(randn({2}, 1)), leaf(randn({3}, 2))};
  const ParameterLayout layout(parameters);
  const auto before = layout.values();
  expect_error([&] { layout.assign(randn({4}, 3)); }, "expected a vector of [5]");
  EXPECT_TRUE(identical(layout.values(), before));
}

TEST(ParameterLayoutTest, WorksInFloat32) {
  const auto parameter = leaf(randn({3, 2}, 1).to(torch::kFloat).t());
  const ParameterLayout layout({parameter});
  EXPECT_EQ(layout.values().scalar_type(), torch::kFloat);
  const auto flat = randn({6}, 2).to(torch::kFloat);
  layout.assign(flat);
  EXPECT_TRUE(identical(layout.values(), flat));
}

TEST(ParameterLayoutTest, OptionsMakeVectorsLikeTheParametersWithoutGradient) {
  const auto flat = torch::zeros({1}, ParameterLayout(assorted_parameters()).options());
  EXPECT_EQ(flat.scalar_type(), torch::kDouble);
  EXPECT_TRUE(flat.device().is_cpu());
  EXPECT_FALSE(flat.requires_grad());
}

}  // namespace
}  // namespace natgrad::testing::parameters_test
