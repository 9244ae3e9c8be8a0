// The types of LibTorch's nodes, which input is z, and what they have saved.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "libtorch/contract.h"
#include "libtorch/lookups.h"
#include "libtorch/nodes.h"

namespace natgrad::testing::contract_test {
namespace {

// ---- Types of nodes, and where z is ----

struct OpCase {
  Op op;
  const char* call;
  std::function<Tensor()> result;
  size_t edge_of_z = 0;
};

std::vector<OpCase> op_cases() {
  const auto w = randn({4, 3}, 3), b = randn({3}, 4);
  return {
      {Op::Abs, "abs(z)", [] { return z().abs(); }},
      {Op::Add, "w + z", [=] { return w + z(); }, 1},
      {Op::Addmm, "addmm(b, w, zᵀ)", [=] { return at::addmm(randn({4}, 5), z(), w.t()); }, 1},
      {Op::BinaryCrossEntropy, "binary_cross_entropy",
       [] {
         const auto p = z().sigmoid();
         return at::binary_cross_entropy(p, y());
       }},
      {Op::BinaryCrossEntropyWithLogits, "binary_cross_entropy_with_logits",
       [] { return F::binary_cross_entropy_with_logits(z(), y()); }},
      {Op::Convolution, "conv1d",
       [] {
         return at::conv1d(z().unsqueeze(0), randn({2, 4, 2}, 6));
       }},
      {Op::Embedding, "embedding(z, words)", [] { return at::embedding(z(), classes()); }},
      {Op::EmbeddingBag, "embedding_bag(z, words)",
       [] { return std::get<0>(at::embedding_bag(z(), classes(), torch::arange(2))); }},
      {Op::Exp, "exp(z)", [] { return z().exp(); }},
      {Op::Expand, "expand(z)",
       [] {
         return z().expand({2, 4, 3});
       }},
      {Op::HuberLoss, "huber_loss", [] { return at::huber_loss(z(), y()); }},
      {Op::Index, "z[words]", [] { return z().index({classes()}); }},
      {Op::IndexSelect, "index_select(z, words)", [] { return z().index_select(0, classes()); }},
      {Op::Log, "log(z²)", [] { return z().square().log(); }},
      {Op::LogSigmoid, "log_sigmoid(z)", [] { return at::log_sigmoid(z()); }},
      {Op::LogSoftmax, "log_softmax(z)", [] { return z().log_softmax(1); }},
      {Op::Mm, "mm(z, wᵀ)", [=] { return z().mm(w.t()); }},
      {Op::MseLoss, "mse_loss", [] { return at::mse_loss(z(), y()); }},
      {Op::Mul, "w z", [=] { return w * z(); }, 1},
      {Op::Neg, "-z", [] { return -z(); }},
      {Op::Sigmoid, "sigmoid(z)", [] { return z().sigmoid(); }},
      {Op::Slice, "narrow(z)", [] { return z().narrow(0, 1, 2); }},
      {Op::SmoothL1Loss, "smooth_l1_loss", [] { return at::smooth_l1_loss(z(), y()); }},
      {Op::Softmax, "softmax(z)", [] { return z().softmax(1); }},
      {Op::Sub, "w - z", [=] { return w - z(); }, 1},
      {Op::Other, "cosh(z)", [] { return z().cosh(); }},
  };
}

TEST(NodesContract, EachOpLeavesANodeOfItsOwnType) {
  for (const auto& c : op_cases()) {
    const auto result = c.result();
    EXPECT_EQ(op_of(node_of(result)), c.op)
        << c.call << " leaves " << node_of(result).name() << mend("nodes.cpp (op_of)");
  }
}

TEST(NodesContract, InputsAreTheNodesEdgesInTheirOrder) {
  for (const auto& c : op_cases()) {
    const auto result = c.result();
    const auto& edges = node_of(result).next_edges();
    ASSERT_GT(edges.size(), c.edge_of_z) << c.call << mend("nodes.h");
    // The ops that do not take z itself take what was made of it.
    Edge at = edges[c.edge_of_z];
    while (at.is_valid() && !leads_to(at, z()) && !at.function->next_edges().empty()) {
      at = at.function->next_edge(0);
    }
    EXPECT_TRUE(leads_to(at, z())) << "z is not below edge " << c.edge_of_z << " of " << c.call
                                   << mend("nodes.h, and who calls next_edge");
  }
}

TEST(NodesContract, CrossEntropyIsNllLossOfLogSoftmax) {
  const auto loss = F::cross_entropy(z(), classes());
  EXPECT_EQ(op_of(*node_of(loss).next_edge(0).function), Op::LogSoftmax)
      << "below " << node_of(loss).name() << mend("nodes.cpp, then graph/term_readers.cpp");
}

TEST(NodesContract, L1LossIsTheMeanOfAbsOfADifference) {
  const auto loss = F::l1_loss(z(), y());
  Node& abs = *node_of(loss).next_edge(0).function;
  ASSERT_EQ(op_of(abs), Op::Abs) << abs.name() << mend("nodes.cpp, then graph/term_readers.cpp");
  EXPECT_EQ(op_of(*abs.next_edge(0).function), Op::Sub) << mend("nodes.cpp");
}

TEST(NodesContract, PoissonNllLossIsExpMinusProduct) {
  const auto loss = F::poisson_nll_loss(z(), y());
  Node& sub = *node_of(loss).next_edge(0).function;
  ASSERT_EQ(op_of(sub), Op::Sub) << sub.name() << mend("nodes.cpp, then graph/term_readers.cpp");
  EXPECT_EQ(op_of(*sub.next_edge(0).function), Op::Exp) << mend("nodes.cpp");
  EXPECT_EQ(op_of(*sub.next_edge(1).function), Op::Mul) << mend("nodes.cpp");
}

// ---- What nodes have saved ----

const std::string kSaved = mend("nodes.cpp: a saved field means something else");

TEST(SavedContract, SoftmaxesKeepTheirResultsAndDimension) {
  const auto p = z().softmax(1), log_p = z().log_softmax(1);
  EXPECT_TRUE(identical(saved_softmax(node_of(p)).result, p.detach())) << kSaved;
  EXPECT_TRUE(identical(saved_softmax(node_of(log_p)).result, log_p.detach())) << kSaved;
  EXPECT_EQ(saved_softmax(node_of(p)).dim, 1) << kSaved;
  EXPECT_EQ(saved_softmax(node_of(log_p)).dim, 1) << kSaved;
}

TEST(SavedContract, ANegativeDimensionIsKeptCountedFromTheFrontOrFromTheBack) {
  const auto log_p = z().log_softmax(-1);
  const auto dim = saved_softmax(node_of(log_p)).dim;
  EXPECT_TRUE(dim == 1 || dim == -1) << "it is " << dim << kSaved;
}

TEST(SavedContract, LossesKeepTheirArgumentsAndReduction) {
  const auto p = z().sigmoid();
  const std::vector<std::function<Tensor(int64_t)>> losses = {
      [&](int64_t reduction) { return at::mse_loss(z(), y(), reduction); },
      [&](int64_t reduction) { return at::huber_loss(z(), y(), reduction, 2.5); },
      [&](int64_t reduction) { return at::smooth_l1_loss(z(), y(), reduction, 0.5); },
      [&](int64_t reduction) {
        return at::binary_cross_entropy_with_logits(z(), y(), {}, {}, reduction);
      }};
  for (const auto& loss : losses) {
    for (const int64_t reduction : {at::Reduction::None, at::Reduction::Mean, at::Reduction::Sum}) {
      const auto value = loss(reduction);
      const auto arguments = saved_loss(node_of(value));
      const auto message = node_of(value).name() + kSaved;
      EXPECT_TRUE(identical(arguments.self, z().detach())) << message;
      EXPECT_TRUE(identical(arguments.target, y())) << message;
      EXPECT_EQ(arguments.reduction, reduction) << message;
    }
  }
  const auto bce = at::binary_cross_entropy(p, y());
  EXPECT_TRUE(identical(saved_loss(node_of(bce)).self, p.detach())) << kSaved;
}

TEST(SavedContract, DeltaAndBetaAreTheLossesOwn) {
  const auto huber = at::huber_loss(z(), y(), at::Reduction::Mean, 2.5);
  const auto smooth = at::smooth_l1_loss(z(), y(), at::Reduction::Mean, 0.5);
  EXPECT_EQ(saved_loss(node_of(huber)).scale, 2.5) << kSaved;
  EXPECT_EQ(saved_loss(node_of(smooth)).scale, 0.5) << kSaved;
}

TEST(SavedContract, WeightsOfBinaryCrossEntropiesAreUndefinedUnlessGiven) {
  const auto w = randn({3}, 11).exp(), v = randn({3}, 12).exp();
  const auto plain = at::binary_cross_entropy_with_logits(z(), y());
  EXPECT_FALSE(saved_loss(node_of(plain)).weight.defined()) << kSaved;
  EXPECT_FALSE(saved_loss(node_of(plain)).pos_weight.defined()) << kSaved;
  const auto weighted = at::binary_cross_entropy_with_logits(z(), y(), w, v);
  EXPECT_TRUE(identical(saved_loss(node_of(weighted)).weight, w)) << kSaved;
  EXPECT_TRUE(identical(saved_loss(node_of(weighted)).pos_weight, v)) << kSaved;
}

TEST(SavedContract, ElementwiseOpsKeepInputOrResult) {
  const auto exp = z().exp(), sigmoid = z().sigmoid(), abs = z().abs(), log = at::log_sigmoid(z());
  EXPECT_TRUE(identical(saved_result(node_of(exp)), exp.detach())) << kSaved;
  EXPECT_TRUE(identical(saved_result(node_of(sigmoid)), sigmoid.detach())) << kSaved;
  EXPECT_TRUE(identical(saved_input(node_of(abs)), z().detach())) << kSaved;
  EXPECT_TRUE(identical(saved_input(node_of(log)), z().detach())) << kSaved;
}

TEST(SavedContract, SumsKeepAlpha) {
  EXPECT_EQ(alpha_of(node_of(at::add(z(), y(), 3))), 3) << kSaved;
  EXPECT_EQ(alpha_of(node_of(at::sub(z(), y(), 0.5))), 0.5) << kSaved;
}

TEST(SavedContract, ProductsKeepTheLeftMatrixForTheRightOne) {
  const auto a = randn({5, 4}, 13);
  const auto w = variable({4, 3}, 14), b = variable({3}, 15);
  const auto mm = a.mm(w), addmm = at::addmm(b, a, w, /*beta=*/2, /*alpha=*/3);
  EXPECT_TRUE(identical(saved_left(node_of(mm)), a)) << kSaved;
  EXPECT_TRUE(identical(saved_left(node_of(addmm)), a)) << kSaved;
  EXPECT_EQ(scales_of_addmm(node_of(addmm)).beta, 2) << kSaved;
  EXPECT_EQ(scales_of_addmm(node_of(addmm)).alpha, 3) << kSaved;
  EXPECT_TRUE(leads_to(node_of(mm).next_edge(1), w)) << kSaved;
  EXPECT_TRUE(leads_to(node_of(addmm).next_edge(0), b)) << kSaved;
  EXPECT_TRUE(leads_to(node_of(addmm).next_edge(2), w)) << kSaved;
}

TEST(SavedContract, ALinearLayerIsAddmmOfItsTransposedWeight) {
  const auto a = randn({5, 4}, 16), w = variable({3, 4}, 17), b = variable({3}, 18);
  const auto s = F::linear(a, w, b);
  ASSERT_EQ(op_of(node_of(s)), Op::Addmm) << node_of(s).name() << mend("nodes.cpp");
  Node& transpose = *node_of(s).next_edge(2).function;
  EXPECT_TRUE(is_matrix_transpose(transpose)) << transpose.name() << mend("nodes.cpp");
  EXPECT_TRUE(leads_to(transpose.next_edge(0), w)) << kSaved;
}

TEST(SavedContract, ALinearLayerOfThreeDimensionsIsAReshapeOfOneOfTwo) {
  const auto a = randn({2, 5, 4}, 21), w = variable({3, 4}, 19), b = variable({3}, 20);
  for (const auto& [s, op] :
       {std::pair(a.matmul(w.t()), Op::Mm), {at::linear(a, w, b), Op::Addmm}}) {
    ASSERT_TRUE(is_reshape(node_of(s))) << node_of(s).name() << mend("nodes.cpp (is_reshape)");
    const auto& below = node_of(s).next_edge(0);
    EXPECT_EQ(op_of(*below.function), op) << below.function->name() << mend("nodes.cpp");
    EXPECT_EQ(shape_at(below), at::IntArrayRef({10, 3})) << mend("nodes.cpp");
  }
}

TEST(SavedContract, ConvolutionsKeepInputAndGeometry) {
  const auto a = randn({2, 4, 6, 7}, 22), w = variable({6, 2, 3, 2}, 23), b = variable({6}, 24);
  const auto s = at::conv2d(a, w, b, {2, 1}, {1, 0}, {1, 2}, 2);
  ASSERT_EQ(op_of(node_of(s)), Op::Convolution) << node_of(s).name() << mend("nodes.cpp");
  const auto geometry = geometry_of(node_of(s));
  using Numbers = std::vector<int64_t>;
  EXPECT_EQ(geometry.stride, Numbers({2, 1})) << kSaved;
  EXPECT_EQ(geometry.padding, Numbers({1, 0})) << kSaved;
  EXPECT_EQ(geometry.dilation, Numbers({1, 2})) << kSaved;
  EXPECT_EQ(geometry.groups, 2) << kSaved;
  EXPECT_FALSE(geometry.transposed) << kSaved;
  EXPECT_TRUE(identical(saved_image(node_of(s)), a)) << kSaved;
  EXPECT_TRUE(leads_to(node_of(s).next_edge(1), w)) << kSaved;
  EXPECT_TRUE(leads_to(node_of(s).next_edge(2), b)) << kSaved;
  const auto up = at::conv_transpose2d(a, variable({4, 3, 3, 3}, 25), {}, /*stride=*/2);
  EXPECT_TRUE(geometry_of(node_of(up)).transposed) << kSaved;
  EXPECT_EQ(geometry_of(node_of(up)).stride, Numbers({2, 2})) << kSaved;
}

TEST(SavedContract, BatchNormalisationTellsWhetherItTrains) {
  const auto x = variable({4, 3}, 26);
  const auto mean = torch::zeros({3}, torch::kDouble), variance = torch::ones({3}, torch::kDouble);
  const auto normalised = [&](bool training) {
    return at::batch_norm(x, {}, {}, mean, variance, training, 0.1, 1e-5, false);
  };
  const auto training = normalised(true), evaluating = normalised(false);
  EXPECT_TRUE(is_batch_normalisation_in_training(node_of(training)))
      << node_of(training).name() << mend("nodes.cpp (is_batch_normalisation_in_training)");
  EXPECT_FALSE(is_batch_normalisation_in_training(node_of(evaluating)))
      << node_of(evaluating).name() << mend("nodes.cpp (is_batch_normalisation_in_training)");
}

TEST(SavedContract, ProductsWithNumbersKeepTheNumber) {
  EXPECT_EQ(factor_of(*(z() * -3).grad_fn()), -3) << mend("nodes.cpp");
  EXPECT_EQ(factor_of(*(0.5 * z()).grad_fn()), 0.5) << mend("nodes.cpp");
  EXPECT_EQ(factor_of(*(z() / 4).grad_fn()), 0.25) << mend("nodes.cpp");
  EXPECT_FALSE(factor_of(*(z() * y()).grad_fn()));
  EXPECT_FALSE(factor_of(*(z() + 2).grad_fn()));
}

// Of a normalisation without gains the result is what it keeps.
TEST(SavedContract, NormalisationsKeepWhatTheirGainsMultiply) {
  const auto x = variable({4, 6, 2}, 27), gain = variable({6}, 28), shift = variable({6}, 29);
  const auto mean = randn({6}, 30), variance = randn({6}, 31).square() + 1;
  const auto check = [](Op op, const Tensor& with_gains, const Tensor& without, double rounding) {
    ASSERT_EQ(op_of(node_of(with_gains)), op) << node_of(with_gains).name() << mend("nodes.cpp");
    EXPECT_LT((normalised_input(node_of(with_gains)) - without).abs().max().item<double>(),
              rounding)
        << kSaved;
  };
  constexpr double kRounding = 1e-13;  // a few operations in double
  check(Op::BatchNorm, at::batch_norm(x, gain, shift, mean, variance, false, 0.1, 1e-5, false),
        at::batch_norm(x, {}, {}, mean, variance, false, 0.1, 1e-5, false), kRounding);
  check(Op::GroupNorm, at::group_norm(x, 3, gain, shift), at::group_norm(x, 3), kRounding);
  const auto wide = variable({6, 2}, 32);
  const auto normalised = at::layer_norm(x, {6, 2}, wide, wide);
  check(Op::LayerNorm, normalised, at::layer_norm(x, {6, 2}), kRounding);
  EXPECT_EQ(normalised_dimensions(node_of(normalised)), 2) << kSaved;
}

// ---- Rows of tables ----

/// The transpose of a lookup, [V, M], from what its node tells.
Tensor matrix_of_lookup(const Tensor& result) {
  const auto lookup = lookup_of(node_of(result));
  if (!lookup) return {};
  const auto entries = lookup->index.numel();
  const auto of_each = std::max<int64_t>(1, entries / (result.numel() / 3));
  const auto even = torch::arange(entries).div(of_each, /*rounding_mode=*/"floor");
  const auto row = lookup->row.defined() ? lookup->row : even;
  const auto weight = lookup->weight.defined() ? lookup->weight.to(torch::kDouble)
                                               : torch::ones({entries}, torch::kDouble);
  return torch::zeros({4, result.numel() / 3}, torch::kDouble)
      .index_put_({lookup->index, row}, weight, /*accumulate=*/true);
}

void expect_told(const Tensor& result, const char* call) {
  constexpr double kRounding = 1e-14;  // sums of a few products
  const auto u = randn(result.sizes(), 33);
  const auto S = matrix_of_lookup(result);
  ASSERT_TRUE(S.defined()) << call << mend("lookups.cpp");
  const auto gradient = torch::autograd::grad({result}, {z()}, {u})[0];
  EXPECT_LT((S.mm(u.reshape({-1, 3})) - gradient).abs().max().item<double>(), kRounding)
      << call << mend("lookups.cpp");
}

TEST(SavedContract, LookupsTellTheTransposeThatTheirGradientIs) {
  const auto words = torch::tensor({{3, 0}, {3, 3}, {1, 2}});
  expect_told(at::embedding(z(), words), "embedding");
  expect_told(at::embedding(z(), words, /*padding_idx=*/3), "embedding with padding");
  expect_told(z().index({words - 4}), "index by negative numbers");
  expect_told(z().index({words[0].to(torch::kInt)}), "index by int32");
  expect_told(z().index_select(0, words.flatten()), "index_select");
  expect_told(z().index_select(-2, words.flatten()), "index_select of dimension -2");
  expect_told(z().slice(0, 1, 4, 2), "slice");
  expect_told(z().narrow(0, 1, 2), "narrow");
}

TEST(SavedContract, BagsTellTheirEntriesToo) {
  const auto words = torch::tensor({3, 0, 3, 3, 1, 2}), offsets = torch::tensor({0, 1, 1, 4});
  const auto weights = randn({6}, 34);
  const auto bag = [&](int64_t mode, const Tensor& weighted, bool with_last, int64_t padding) {
    const auto last = torch::cat({offsets, torch::tensor({6})});
    return std::get<0>(at::embedding_bag(z(), words, with_last ? last : offsets, false, mode, false,
                                         weighted, with_last, padding));
  };
  expect_told(bag(0, {}, false, -1), "sums");
  expect_told(bag(0, weights, false, 3), "weighted sums with padding");
  expect_told(bag(1, {}, true, -1), "means");
  expect_told(bag(1, {}, false, 3), "means with padding");
  const auto even = [&](int64_t mode, int64_t padding) {
    return std::get<0>(at::embedding_bag(z(), words, 2 * torch::arange(3), false, mode, false, {},
                                         false, padding));
  };
  expect_told(even(0, -1), "sums of pairs");
  expect_told(even(1, 3), "means of pairs with padding");
  EXPECT_FALSE(matrix_of_lookup(bag(2, {}, false, -1)).defined());
}

TEST(SavedContract, SumsAndMeansTellTheirDimensions) {
  EXPECT_TRUE(reduces_within_rows(node_of(z().sum(1)))) << kSaved;
  EXPECT_TRUE(reduces_within_rows(node_of(z().mean(-1, /*keepdim=*/true)))) << kSaved;
  for (const auto& t : {z().sum(0), z().mean(-2), z().sum({0, 1}), z().sum(), z().mean()}) {
    EXPECT_FALSE(reduces_within_rows(node_of(t))) << node_of(t).name() << kSaved;
  }
}

TEST(SavedContract, TransposesAndCastsAreTold) {
  for (const auto& t : {z().t(), z().transpose(0, 1), z().transpose(-2, -1), z().permute({1, 0})}) {
    EXPECT_TRUE(is_matrix_transpose(node_of(t))) << node_of(t).name() << kSaved;
  }
  for (const auto& t : {z().transpose(1, 1), z().permute({0, 1}), z().view({2, 6})}) {
    EXPECT_FALSE(is_matrix_transpose(node_of(t))) << node_of(t).name() << kSaved;
  }
  EXPECT_TRUE(is_cast(node_of(z().to(torch::kFloat)))) << kSaved;
  EXPECT_FALSE(is_cast(node_of(z().clone()))) << kSaved;
}

}  // namespace
}  // namespace natgrad::testing::contract_test
