// `operator_health` on sound operators, and on one for each way of being wrong.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/diagnostics/operator_health.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/low_rank.h>

#include "support/curvature_options.h"
#include "support/opaque_ops.h"
#include "theory/small_network.h"

namespace natgrad::testing::operator_health_test {
namespace {

namespace F = torch::nn::functional;

constexpr int64_t kSize = 12;
// Sums in double of a few numbers of order one.
constexpr double kRounding = 1e-13;

Tensor some_matrix() { return random_spd(kSize, 100, 701); }

LinearOperator by(const LinearOperator::Multiply& multiply, Columns columns = Columns::OneByOne) {
  return {"test", kSize, torch::TensorOptions(torch::kDouble), multiply, columns};
}

/// That this check fails, and which else do.
void expect_failing(const Health& health, const std::string& name,
                    const std::vector<std::string>& others = {}) {
  EXPECT_FALSE(health.holds);
  for (const auto& check : health.checks) {
    const bool expected =
        check.name == name || std::find(others.begin(), others.end(), check.name) != others.end();
    EXPECT_EQ(check.holds, !expected) << check.name << " in\n" << health.message();
  }
  EXPECT_TRUE(says(health.message(), "FAILS      " + name)) << health.message();
  EXPECT_FALSE(health.check(name).says.empty());
}

TEST(OperatorHealthTest, ASoundOperatorIsHealthy) {
  const auto health = operator_health(from_dense(some_matrix()));
  EXPECT_TRUE(health.holds) << health.message();
  for (const auto& check : health.checks) {
    EXPECT_TRUE(check.is_conclusive) << check.name;
    EXPECT_LT(check.value, kRounding) << check.name;
  }
  EXPECT_EQ(health.check("deterministic").says, "the same bits");
  EXPECT_TRUE(says(health.message(), "dense matrix: healthy")) << health.message();
}

TEST(OperatorHealthTest, AProductThatIsNotFiniteEndsTheExamination) {
  auto M = some_matrix();
  M[3][3] = std::numeric_limits<double>::quiet_NaN();
  const auto health = operator_health(from_dense(M));
  expect_failing(health, "products");
  EXPECT_EQ(health.checks.size(), 1);
}

TEST(OperatorHealthTest, WhatTheOperatorThrowsIsTold) {
  const auto health = operator_health(
      by([](const Tensor&) -> Tensor { TORCH_CHECK(false, "natgrad: out of order"); }));
  expect_failing(health, "products");
  EXPECT_EQ(health.check("products").says, "out of order");
}

TEST(OperatorHealthTest, ARandomOperatorIsNotDeterministic) {
  auto generator = seeded(702);
  const auto M = some_matrix();
  const auto health = operator_health(by([=](const Tensor& v) mutable {
    return M.mv(v) + 1e-3 * torch::randn(v.sizes(), generator, v.options());
  }));
  EXPECT_FALSE(health.check("deterministic").holds);
  EXPECT_GT(health.check("deterministic").value, 1e-4);
}

TEST(OperatorHealthTest, AnAffineMapIsNotLinear) {
  const auto M = some_matrix(), shift = randn({kSize}, 703);
  EXPECT_FALSE(
      operator_health(by([=](const Tensor& v) { return M.mv(v) + shift; })).check("linear").holds);
}

TEST(OperatorHealthTest, AMapThatDropsSignsIsNotLinear) {
  const auto M = some_matrix();
  EXPECT_FALSE(
      operator_health(by([=](const Tensor& v) { return M.mv(v.abs()); })).check("linear").holds);
}

TEST(OperatorHealthTest, AMatrixThatIsNotSymmetricIsFound) {
  auto M = some_matrix();
  M[2][5] += 1e-3;
  const auto health = operator_health(from_dense(M));
  expect_failing(health, "symmetric");
  EXPECT_LT(health.check("symmetric").value, 1e-3);
}

TEST(OperatorHealthTest, AMatrixOfTheWrongSignIsNotSemidefinite) {
  expect_failing(operator_health(-1.0 * from_dense(some_matrix())), "semidefinite",
                 {"smallest Ritz value"});
}

// Of twelve eigenvalues one is negative: random vectors do not show it.
TEST(OperatorHealthTest, LanczosFindsWhatRandomVectorsDoNot) {
  auto eigenvalues = torch::linspace(0.5, 1.5, kSize, torch::kDouble);
  eigenvalues[0] = -0.2;
  const auto A = from_dense(symmetric_with_spectrum(eigenvalues, 704));
  const auto health = operator_health(A, OperatorHealthOptions().lanczos_steps(kSize));
  expect_failing(health, "smallest Ritz value");
  EXPECT_NEAR(health.check("smallest Ritz value").value, 0.2 / 1.5, 1e-6);
  EXPECT_FALSE(
      operator_health(A, OperatorHealthOptions().lanczos_steps(0)).has("smallest Ritz value"));
}

TEST(OperatorHealthTest, AHessianMayBeIndefinite) {
  auto eigenvalues = torch::linspace(-1, 2, kSize, torch::kDouble);
  const auto A = from_dense(symmetric_with_spectrum(eigenvalues, 705));
  const auto health = operator_health(A, OperatorHealthOptions().semidefinite(false));
  EXPECT_TRUE(health.holds) << health.message();
  EXPECT_GT(health.check("smallest Ritz value").value, 0.4);
  EXPECT_FALSE(operator_health(A).holds);
}

TEST(OperatorHealthTest, AWrongBlockOfColumnsIsFound) {
  const auto M = some_matrix();
  const auto health = operator_health(
      by([=](const Tensor& v) { return v.dim() == 1 ? M.mv(v) : 2 * M.mm(v); }, Columns::Together));
  EXPECT_FALSE(health.check("block of columns").holds);
  EXPECT_NEAR(health.check("block of columns").value, 1, kRounding);
}

TEST(OperatorHealthTest, WrongInnerProductsAreFound) {
  const auto M = some_matrix();
  const auto wrong = from_dense(M).with_inner([=](const std::vector<Tensor>& columns) {
    const auto V = torch::stack(columns, 1);
    return 0.5 * V.t().mm(M.mm(V));
  });
  expect_failing(operator_health(wrong), "inner products");
}

TEST(OperatorHealthTest, AWrongRootIsFound) {
  const auto R = randn({5, kSize}, 706);
  const auto A = from_dense(R.t().mm(R));
  EXPECT_TRUE(operator_health(A.with_root(explicit_root(R))).holds);
  expect_failing(operator_health(A.with_root(explicit_root(1.1 * R))), "root");
}

TEST(OperatorHealthTest, AWrongInverseIsFound) {
  const auto d = torch::linspace(1, 2, kSize, torch::kDouble);
  EXPECT_TRUE(operator_health(diagonal_operator(d)).holds);
  const auto wrong = diagonal_operator(d).with_solve(
      [=](double shift, const Tensor& b) { return b / (d + 2 * shift + 1e-3); });
  expect_failing(operator_health(wrong), "inverse");
  EXPECT_TRUE(operator_health(diagonal_operator(d - 1)).holds);  // singular, but for the damping
}

TEST(OperatorHealthTest, InFloatTheRoundingIsAllowedFor) {
  const auto M = some_matrix().to(torch::kFloat);
  EXPECT_TRUE(operator_health(from_dense(M)).holds);
  auto wrong = M.clone();
  wrong[0] *= 1.1;
  EXPECT_FALSE(operator_health(from_dense(wrong)).check("symmetric").holds);
}

TEST(OperatorHealthTest, UnknownChecksAndOptionsOutOfRangeAreRefused) {
  const auto A = from_dense(some_matrix());
  expect_error([&] { operator_health(A).check("beauty"); }, "no check \"beauty\", but products");
  expect_error([&] { operator_health(A, OperatorHealthOptions().probes(1)); }, "probes >= 2");
}

// ---- Curvatures at a graph. ----

struct OfACurvature : ::testing::TestWithParam<CurvatureOption> {};

TEST_P(OfACurvature, TheLibrarysOwnAreHealthy) {
  const SmallNetwork network{703, 6, 3};
  const LossGraph graph(F::cross_entropy(network.forward(), network.labels), network.parameters);
  const auto health =
      operator_health(graph, *GetParam().curvature,
                      OperatorHealthOptions().semidefinite(GetParam().is_semidefinite));
  EXPECT_TRUE(health.holds) << health.message();
  EXPECT_TRUE(health.has("noise"));
  EXPECT_EQ(health.has("targets"), GetParam().curvature->tells_gradient());
}

INSTANTIATE_TEST_SUITE_P(Table, OfACurvature, ::testing::ValuesIn(curvature_options()),
                         [](const auto& info) { return info.param.name; });

/// Score rows with the wrong sign of what tells the gradient.
class WrongTargets final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override {
    auto right = ScoreRows().at(graph);
    return {right.matrix, [](auto) { return torch::full({}, -1, torch::kDouble); }, -right.targets};
  }
  bool tells_gradient() const override { return true; }
  std::string describe() const override { return "WrongTargets()"; }
  std::shared_ptr<const Curvature> clone() const override {
    return std::make_shared<WrongTargets>(*this);
  }
};

TEST(OperatorHealthTest, WrongTargetsAndANegativeNoiseAreFound) {
  const SmallNetwork network{704, 6, 3};
  const LossGraph graph(F::cross_entropy(network.forward(), network.labels), network.parameters);
  const auto health = operator_health(graph, WrongTargets());
  expect_failing(health, "targets", {"noise"});
  EXPECT_NEAR(health.check("targets").value, 2, kRounding);
}

struct CurvatureAtADetachingOp : ::testing::TestWithParam<OpaqueOp> {};

TEST_P(CurvatureAtADetachingOp, TheOpIsNamed) {
  const SmallNetwork network{705, 6, 3};
  const auto z = GetParam().apply(network.forward());
  const LossGraph graph(F::cross_entropy(z, network.labels), network.parameters);
  for (const auto& curvature : {Fisher().clone(), Hessian().clone()}) {
    const auto health = operator_health(graph, *curvature);
    EXPECT_FALSE(health.check("products").holds);
    EXPECT_TRUE(says(health.check("products").op, GetParam().name)) << health.message();
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, CurvatureAtADetachingOp, ::testing::ValuesIn(opaque_ops()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::operator_health_test
