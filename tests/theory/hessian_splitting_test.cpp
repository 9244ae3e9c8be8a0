// The Hessian is the Gauss-Newton matrix and a remainder of the network's own second derivatives;
// without it no example can cancel another's curvature (Martens, "New perspectives on the natural
// gradient method", section 3, the formula for H and the paragraphs on cancellation).

#include <natgrad/curvature/hessian.h>

#include "theory/small_network.h"

namespace natgrad::testing::hessian_splitting_test {
namespace {

namespace F = torch::nn::functional;

// Products of a few small matrices in double.
constexpr double kRounding = 1e-12;
constexpr int64_t kCount = 6;

struct ConvexLoss {
  std::string name;
  std::function<Tensor(const SmallNetwork&, const Tensor& z, const Tensor& rows)> of;
};

std::ostream& operator<<(std::ostream& out, const ConvexLoss& loss) { return out << loss.name; }

const std::vector<ConvexLoss> kConvexLosses = {
    {"Softmax",
     [](auto& network, auto& z, auto& rows) {
       return F::cross_entropy(z, network.labels.index_select(0, rows));
     }},
    {"SquaredError",
     [](auto& network, auto& z, auto& rows) {
       return nll(Gaussian(z), network.targets.index_select(0, rows));
     }},
};

struct HessianSplitting : ::testing::TestWithParam<ConvexLoss> {
  const SmallNetwork network{501, kCount, 3};

  Tensor forward(const Tensor& rows) const {
    return SmallNetwork::forward(network.parameters, network.x.index_select(0, rows));
  }
  Tensor loss(const Tensor& z, const Tensor& rows) const { return GetParam().of(network, z, rows); }
  Tensor gauss_newton_matrix(const Tensor& rows) const {
    return gauss_newton_of(loss(forward(rows), rows), network.parameters);
  }
  Tensor hessian_matrix(const Tensor& rows) const {
    const LossGraph graph(loss(forward(rows), rows), network.parameters);
    return dense(natgrad::hessian(graph));
  }
  /// The mean of Σⱼ [∇_z L]ⱼ H_{[f]ⱼ}.
  Tensor remainder(const Tensor& rows) const {
    const auto leaf = forward(rows).detach().requires_grad_();
    const auto of_z = gradient_of(loss(leaf, rows), {leaf}).view(leaf.sizes());
    return hessian((of_z * forward(rows)).sum(), network.parameters);
  }
  static Tensor all() { return torch::arange(kCount); }
  template <class Matrix>
  std::vector<Tensor> of_each_example(Matrix matrix) const {
    std::vector<Tensor> matrices;
    for (int64_t i = 0; i < kCount; ++i) matrices.push_back(matrix(torch::tensor({i})));
    return matrices;
  }
};

/// How many of the 62 proper subsets B of S violate |B| vᵀA_B v ≤ |S| vᵀA_S v for some v, given
/// the examples' own matrices: then |S| A_S - |B| A_B has a negative eigenvalue.
int violations(const std::vector<Tensor>& each) {
  const double largest = torch::stack(each).sum(0).norm().item<double>();
  int count = 0;
  for (int subset = 1; subset < (1 << kCount) - 1; ++subset) {
    auto rest = torch::zeros_like(each[0]);
    for (int64_t i = 0; i < kCount; ++i) {
      if (!(subset >> i & 1)) rest += each[i];
    }
    count += smallest_eigenvalue(rest) < -kRounding * largest;
  }
  return count;
}

TEST_P(HessianSplitting, TheHessianIsGaussNewtonAndTheRemainder) {
  const auto h = hessian_matrix(all()), rest = remainder(all());
  EXPECT_LT(relative_error(gauss_newton_matrix(all()), h - rest), kRounding);
  EXPECT_GT(relative_error(h - rest, h), 0.1);  // the remainder is no trifle
}

TEST_P(HessianSplitting, ContributionsOfTheExamplesAddUp) {
  const auto rows = torch::tensor({1, 2, 4});
  const auto each = of_each_example([&](const Tensor& row) { return gauss_newton_matrix(row); });
  const auto sum = each[1] + each[2] + each[4];
  EXPECT_LT(relative_error(gauss_newton_matrix(rows), sum / 3), kRounding);
}

TEST_P(HessianSplitting, NoExampleHasNegativeCurvatureInGaussNewton) {
  for (const auto& matrix :
       of_each_example([&](const Tensor& row) { return gauss_newton_matrix(row); })) {
    EXPECT_GT(smallest_eigenvalue(matrix), -kRounding * matrix.norm().item<double>());
  }
}

TEST_P(HessianSplitting, NoSubsetExceedsTheWholeInGaussNewton) {
  EXPECT_EQ(
      violations(of_each_example([&](const Tensor& row) { return gauss_newton_matrix(row); })), 0);
}

TEST_P(HessianSplitting, TheHessianCancels) {
  const auto each = of_each_example([&](const Tensor& row) { return hessian_matrix(row); });
  int negative = 0;
  for (const auto& matrix : each) negative += smallest_eigenvalue(matrix) < -1e-3;
  EXPECT_EQ(negative, kCount);
  EXPECT_GT(violations(each), 50);  // of 62
}

INSTANTIATE_TEST_SUITE_P(Losses, HessianSplitting, ::testing::ValuesIn(kConvexLosses),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::hessian_splitting_test
