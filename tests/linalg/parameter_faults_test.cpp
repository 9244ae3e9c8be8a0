#include <c10/core/InferenceMode.h>
#include <natgrad/linalg/parameters.h>

#include "support/oracles.h"

// What may be a parameter and what may not: rows 36, 37 and 40 to 45 of the faults.

namespace natgrad::testing::parameter_faults_test {
namespace {

Tensor leaf(const Tensor& t) { return t.detach().requires_grad_(); }

void expect_refused(const std::vector<Tensor>& parameters, std::string_view needle) {
  expect_error([&] { check_parameters(parameters); }, needle);
  expect_error([&] { ParameterLayout layout(parameters); }, needle);
}

TEST(ParameterFaultsTest, NoParametersThrow) { expect_refused({}, "no parameters"); }

TEST(ParameterFaultsTest, UndefinedThrows) {
  expect_refused({leaf(randn({2}, 1)), Tensor()}, "parameter 1 is undefined");
}

TEST(ParameterFaultsTest, DuplicateThrows) {
  const auto weight = leaf(randn({2}, 1));
  expect_refused({weight, leaf(randn({3}, 2)), weight}, "parameter 2 is listed twice");
}

TEST(ParameterFaultsTest, DuplicateWithoutElementsThrows) {
  const auto empty = leaf(randn({0}, 1));
  expect_refused({empty, empty}, "listed twice");
}

TEST(ParameterFaultsTest, TwoTensorsOnOneMemoryThrow) {
  const auto weight = randn({4}, 1);
  expect_refused({leaf(weight), leaf(weight)}, "overlap");
  expect_refused({leaf(weight), leaf(weight.view({2, 2}))}, "overlap");
}

TEST(ParameterFaultsTest, PartlyOverlappingSlicesThrow) {
  const auto buffer = randn({10}, 1);
  expect_refused({leaf(buffer.slice(0, 4, 8)), leaf(randn({3}, 2)), leaf(buffer.slice(0, 0, 5))},
                 "overlap");
}

TEST(ParameterFaultsTest, ASliceInsideALongerOneThrowsAlsoWhenNotItsNeighbour) {
  const auto buffer = randn({10}, 1);
  expect_refused({leaf(buffer), leaf(buffer.slice(0, 1, 3)), leaf(buffer.slice(0, 6, 8))},
                 "overlap");
}

TEST(ParameterFaultsTest, DisjointSlicesOfOneBufferAreFine) {
  const auto buffer = randn({10}, 1);
  const ParameterLayout layout({leaf(buffer.slice(0, 5, 10)), leaf(buffer.slice(0, 0, 5))});
  EXPECT_TRUE(
      identical(layout.values(), torch::cat({buffer.slice(0, 5, 10), buffer.slice(0, 0, 5)})));
}

// The columns of one matrix alternate in memory, but share no element.
TEST(ParameterFaultsTest, InterleavedSlicesOfOneBufferAreFine) {
  const auto buffer = randn({4, 2}, 1);
  const ParameterLayout layout({leaf(buffer.select(1, 0)), leaf(buffer.select(1, 1))});
  EXPECT_TRUE(identical(layout.values(), buffer.t().reshape(-1)));
}

TEST(ParameterFaultsTest, InterleavedSlicesThatShareOneElementThrow) {
  const auto buffer = randn({9}, 1);
  expect_refused({leaf(buffer.slice(0, 0, 9, 2)), leaf(buffer.slice(0, 1, 9, 3))}, "overlap");
}

TEST(ParameterFaultsTest, ExpandedThrows) {
  expect_refused({leaf(randn({3, 1}, 1).expand({3, 2}))}, "expanded");
  expect_refused({leaf(randn({}, 1).expand({2}))}, "expanded");
}

TEST(ParameterFaultsTest, StrideZeroOverOneElementIsFine) {
  const auto parameter = randn({3}, 1).as_strided({1, 3}, {0, 1});
  EXPECT_EQ(ParameterLayout({leaf(parameter)}).size(), 3);
}

// Windows of a signal: no stride is zero, but rows share elements.
TEST(ParameterFaultsTest, OverlappingWithinItselfThrows) {
  expect_refused({leaf(randn({4}, 1).as_strided({3, 2}, {1, 1}))}, "parameter 0");
}

TEST(ParameterFaultsTest, OnlyRealFloatAndDoubleAreAccepted) {
  for (const auto dtype : {torch::kHalf, torch::kBFloat16, torch::kInt, torch::kLong, torch::kBool,
                           torch::kComplexFloat, torch::kComplexDouble}) {
    expect_refused({torch::zeros({2}, torch::kDouble), torch::zeros({2}, dtype)}, "parameter 1");
  }
  EXPECT_EQ(ParameterLayout({torch::zeros({2}, torch::kFloat)}).size(), 2);
}

TEST(ParameterFaultsTest, ComplexIsNamedWithWhatToDo) {
  for (const auto dtype : {torch::kComplexFloat, torch::kComplexDouble}) {
    expect_refused({torch::zeros({2}, torch::kDouble), torch::zeros({2}, dtype)},
                   "parameter 1 is complex");
    expect_refused({torch::zeros({2}, dtype)}, "torch::complex(re, im)");
  }
}

TEST(ParameterFaultsTest, SparseThrows) {
  expect_refused({torch::eye(3, torch::kDouble).to_sparse()}, "dense");
}

TEST(ParameterFaultsTest, MixedDtypesThrow) {
  expect_refused({leaf(randn({2}, 1)), leaf(randn({2}, 2).to(torch::kFloat))}, "one dtype");
}

// The meta device is a second device on every machine.
TEST(ParameterFaultsTest, MixedDevicesThrow) {
  expect_refused(
      {leaf(randn({2}, 1)), torch::zeros({2}, torch::device(torch::kMeta).dtype(torch::kDouble))},
      "one device");
}

TEST(ParameterFaultsTest, NonLeafThrows) {
  expect_refused({leaf(randn({2}, 1)), leaf(randn({2}, 2)) * 2}, "parameter 1 is not a leaf");
}

TEST(ParameterFaultsTest, InferenceTensorThrows) {
  Tensor made_inside;
  {
    c10::InferenceMode guard;
    made_inside = torch::zeros({2}, torch::kDouble);
  }
  expect_refused({made_inside}, "inference");
}

TEST(ParameterFaultsTest, ZeroDimensionalIsOneNumber) {
  const ParameterLayout layout({leaf(torch::scalar_tensor(2.5, torch::kDouble))});
  EXPECT_EQ(layout.size(), 1);
  layout.assign(torch::full({1}, -1.5, torch::kDouble));
  EXPECT_EQ(layout.tensors().front().item<double>(), -1.5);
  EXPECT_EQ(layout.views(layout.values()).front().dim(), 0);
}

TEST(ParameterFaultsTest, WithoutElementsIsNoNumber) {
  const ParameterLayout layout({leaf(randn({0}, 1)), leaf(randn({3, 0}, 2)), leaf(randn({0}, 3))});
  EXPECT_EQ(layout.size(), 0);
  EXPECT_EQ(layout.values().sizes(), torch::IntArrayRef({0}));
  EXPECT_EQ(layout.views(layout.values())[1].sizes(), torch::IntArrayRef({3, 0}));
}

// Requiring a gradient is asked for where gradients are: a frozen parameter still has a place.
TEST(ParameterFaultsTest, FrozenHasItsPlace) {
  const ParameterLayout layout({randn({2}, 1), leaf(randn({3}, 2))});
  EXPECT_EQ(layout.size(), 5);
  EXPECT_FALSE(layout.tensors().front().requires_grad());
}

}  // namespace
}  // namespace natgrad::testing::parameter_faults_test
