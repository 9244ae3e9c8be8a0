#include "libtorch/data_inputs.h"

#include "libtorch/edges.h"
#include "support/oracles.h"

namespace natgrad::testing::data_inputs_test {
namespace {

using detail::data_inputs;
using detail::node_of;

struct DataInputs : ::testing::Test {
  const Tensor x = randn({4, 3}, 1), w = randn({3, 2}, 2).requires_grad_();

  static void expect_data(const Tensor& result, const Tensor& data) {
    const auto found = data_inputs(node_of(result));
    ASSERT_EQ(found.size(), 1);
    EXPECT_EQ(found[0].data_ptr(), data.data_ptr());
  }
  static void expect_none(const Tensor& result) {
    EXPECT_TRUE(data_inputs(node_of(result)).empty());
  }
};

TEST_F(DataInputs, AreTheMatricesWithoutAGradient) {
  expect_data(x.mm(w), x);
  expect_data(w.t().mm(x.t()), x);
  expect_data(torch::addmm(w.select(0, 0), x, w), x);
  expect_data(x.mv(w.select(1, 0)), x);
  const auto images = x.unsqueeze(0);
  expect_data(images.bmm(w.unsqueeze(0)), images);
}

TEST_F(DataInputs, AreImages) {
  const auto images = randn({2, 1, 5, 5}, 3), kernel = randn({1, 1, 3, 3}, 4).requires_grad_();
  expect_data(torch::conv2d(images, kernel), images);
}

TEST_F(DataInputs, AreIndicesOfAnEmbedding) {
  const auto ids = torch::tensor({0, 2, 1});
  expect_data(torch::embedding(w, ids), ids);
}

TEST_F(DataInputs, AreFactorsOfTheResultsShape) {
  expect_data(x * w.select(1, 0), x);
  expect_none(w * w.detach().select(0, 0));  // a row that is broadcast
  expect_none(w * 2);
}

TEST_F(DataInputs, AreNotWhatHasAGradient) {
  expect_none(x.mm(w).mm(w.t()));
  expect_none(x.select(1, 0).sum() - w);
}

}  // namespace
}  // namespace natgrad::testing::data_inputs_test
