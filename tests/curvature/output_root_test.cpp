#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/solvers/dual.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/example_networks.h"
#include "support/graph_readings.h"
#include "support/likelihood_families.h"

// The roots that curvatures know, C = RᵀR, and the dual solve by them against dense references.

namespace natgrad::testing::output_root_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double, in another order.
constexpr double kRounding = 1e-10;
// Of two solutions in double of systems of condition 1e4 or less.
constexpr double kSolved = 1e-10;
constexpr double kLambda = 1e-2, kScale = 0.3;

/// R, from its products with rows of the identity.
Tensor dense_root(const Root& root, const Tensor& like) {
  const auto units = torch::eye(root.rows, like.options());
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < root.rows; ++i) rows.push_back(root.multiply_transposed(units[i]));
  return torch::stack(rows);
}

/// That C, [P, P] by other means, is the RᵀR of what it says about itself.
void expect_root(const LinearOperator& operator_, const Tensor& C) {
  ASSERT_TRUE(operator_.root_form());
  const auto& root = *operator_.root_form()->root;
  const auto R = dense_root(root, C);
  EXPECT_LT(relative_error(R.t().mm(R), C), kRounding);
  EXPECT_LT(relative_error(root.gram(), R.mm(R.t())), kRounding);
  const auto v = randn({C.size(0)}, 3201);
  EXPECT_LT(relative_error(root.multiply(v), R.mv(v)), kRounding);
}

/// That the dual solutions of c C + λI and c (C + λI) are those of the explicit matrices.
void expect_dual(const LinearOperator& operator_, const Tensor& C) {
  const auto b = randn({C.size(0)}, 3202);
  const auto identity = torch::eye(C.size(0), C.options());
  // λ of C's own size, so that the condition number is 100 whatever the loss is.
  const double lambda = kLambda * torch::linalg_eigvalsh(C)[-1].item<double>();
  const auto x = torch::linalg_solve(kScale * C + lambda * identity, b);
  EXPECT_LT(relative_error(Dual().solve(kScale * operator_ + lambda, b).x, x), kSolved);
  const auto y = torch::linalg_solve(kScale * (C + lambda * identity), b);
  EXPECT_LT(relative_error(Dual().solve(kScale * (operator_ + lambda), b).x, y), kSolved);
}

bool examples_come_first(const Outputs& outputs) {
  return std::all_of(outputs.begin(), outputs.end(),
                     [](const Tensor& z) { return z.dim() > 0 && z.size(0) == kExamples; });
}

// ---- Every loss, and every network. ----

struct RootsOfLosses : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);

  Tensor reference() const {
    std::vector<Tensor> rows;
    for (const auto& z : problem.outputs) rows.push_back(jacobian(z, problem.network.parameters));
    const auto j = torch::cat(rows);
    return j.t().mm(closed_form_fisher(problem.loss_case, problem.outputs)).mm(j);
  }
  bool expected() const {
    return examples_come_first(problem.outputs) &&
           GetParam().loss.name != "LogSoftmaxOfFirstDimension";
  }
};

TEST_P(RootsOfLosses, OfTheFisherMatrix) {
  const auto C = fisher(problem.graph);
  ASSERT_EQ(C.root_form().has_value(), expected());
  if (!expected()) return expect_error([&] { Dual().solve(C + 1, randn({C.size()}, 1)); }, "Dual");
  expect_root(C, reference());
  expect_dual(C, reference());
}

TEST_P(RootsOfLosses, OfTheGaussNewtonMatrixExactlyWhereItIsTheFisher) {
  const auto C = gauss_newton(problem.graph);
  ASSERT_EQ(C.root_form().has_value(), expected() && GetParam().loss.hessian_is_fisher());
  if (C.root_form()) expect_dual(C, reference());
}

INSTANTIATE_TEST_SUITE_P(Cases, RootsOfLosses,
                         ::testing::ValuesIn(curvature_cases(likelihood_losses())), ByName());

// ---- Every way in which a network holds layers. ----

struct RootsOfNetworks : ::testing::TestWithParam<ExampleNetworkCase> {
  ExampleNetwork network = GetParam().make();
  Tensor z = network.forward(network.x);

  /// (1/N) Σ Jᵢᵀ (diag p - p pᵀ) Jᵢ.
  Tensor reference() const {
    const auto j = jacobian(z, network.parameters).view({kBatch, kClasses, -1});
    const auto p = z.detach().softmax(1);
    const auto f = torch::diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1);
    return torch::einsum("nkp,nkl,nlq->pq", {j, f, j}) / double(kBatch);
  }
};

TEST_P(RootsOfNetworks, SolveAsTheDenseMatrixDoes) {
  const LossGraph graph(F::cross_entropy(z, torch::tensor({0, 2, 1, 1, 2})), network.parameters);
  const auto C = fisher(graph);
  expect_root(C, reference());
  expect_dual(C, reference());
}

std::vector<ExampleNetworkCase> networks_with_products() {
  auto networks = example_networks();
  std::erase_if(networks, [](const auto& network) { return !network.is_twice_differentiable; });
  return networks;
}

INSTANTIATE_TEST_SUITE_P(Networks, RootsOfNetworks, ::testing::ValuesIn(networks_with_products()),
                         ByName());

// ---- Every family of distributions. ----

struct RootsOfFamilies : ::testing::TestWithParam<LikelihoodCase> {};

TEST_P(RootsOfFamilies, AreRootsOfTheMatrixByProducts) {
  // Outputs that are linear in five parameters, of which the first values are the case's own.
  const auto base = GetParam().outputs;
  const auto directions = 0.1 * randn({5, std::max<int64_t>(base.numel(), 1)}, 3203);
  const auto theta = torch::zeros({5}, torch::kDouble).requires_grad_();
  const auto z = base + theta.unsqueeze(0).mm(directions).view(base.sizes());
  const auto likelihood = GetParam().family.make(z);
  const LossGraph graph(outputs(std::shared_ptr<const Likelihood>(likelihood)).square().sum(),
                        {theta});
  const auto C = fisher(graph);
  ASSERT_EQ(C.root_form().has_value(), base.dim() > 0 && likelihood->example_dim() == 0);
  if (!C.root_form()) return;
  const auto j = jacobian(z, {theta});
  const auto f = matrix_of(
      [&](const Tensor& v) { return likelihood->fisher_multiply(v.view(base.sizes())).detach(); },
      base.numel());
  const auto reference = j.t().mm(f).mm(j) / double(base.size(0));
  expect_root(C, reference);
  expect_dual(C, reference);
}

INSTANTIATE_TEST_SUITE_P(Families, RootsOfFamilies, ::testing::ValuesIn(likelihood_cases()),
                         likelihood_case_name);

// ---- Others, and those that know none. ----

struct RootsTest : ::testing::Test {
  Problem problem = make_problem(loss_named("HeadsOfTwoFamilies"));
};

TEST_F(RootsTest, OfMatricesOfSampledAndEmpiricalGradients) {
  for (const auto& C :
       {monte_carlo_fisher(problem.graph, 2, seeded(1)), empirical_fisher(problem.graph),
        empirical_fisher(problem.graph, Moment::Uncentred, FisherWeights::Uniform)}) {
    expect_root(C, dense(C));
    expect_dual(C, dense(C));
  }
  EXPECT_EQ(empirical_fisher(problem.graph).root_form()->root->rows, kExamples);
  EXPECT_EQ(monte_carlo_fisher(problem.graph, 2, seeded(1)).root_form()->root->rows,
            2 * 2 * kExamples);  // each term draws for itself
  EXPECT_FALSE(empirical_fisher(problem.graph, Moment::Centred).root_form());
}

TEST_F(RootsTest, OfNegativeWeightsThereAreNone) {
  const auto z = problem.z;
  const auto advantages = torch::tensor({1.5, -2.0, 0.25, -0.75}, torch::kDouble);
  const auto log_p = z.log_softmax(1).gather(1, torch::tensor({{0}, {2}, {5}, {2}})).squeeze(1);
  const LossGraph graph(-(log_p * advantages).mean(), problem.network.parameters);
  EXPECT_FALSE(fisher(graph).root_form());
  EXPECT_FALSE(gauss_newton(graph).root_form());
  const auto uniform = FisherOrGaussNewton().at(graph).matrix;
  expect_dual(uniform, dense(uniform));
}

TEST_F(RootsTest, OfALossOfTheUsersOwnOrTheHessianThereAreNone) {
  const auto own = make_problem(loss_named("OwnLossOfTwoOutputs"));
  EXPECT_FALSE(GaussNewton().at(own.graph).matrix.root_form());
  EXPECT_FALSE(hessian(problem.graph).root_form());
}

// The loss's own curvature is not that of the distribution that its outputs have.
TEST_F(RootsTest, OfANamedDistributionIsTheFishersAlone) {
  const LossGraph graph(outputs(Categorical(problem.z)).pow(4).sum(), problem.network.parameters);
  EXPECT_FALSE(gauss_newton(graph).root_form());
  expect_root(fisher(graph), dense(fisher(graph)));
}

TEST_F(RootsTest, ManyMoreRowsThanParametersAreSolvedToo) {
  const auto w = parameter({3, 2}, 1), x = randn({40, 2}, 2);
  const LossGraph graph(F::cross_entropy(torch::linear(x, w), torch::randint(3, {40}, seeded(3))),
                        {w});
  const auto C = fisher(graph);
  EXPECT_EQ(C.root_form()->root->rows, 120);
  expect_dual(C, dense(C));
}

TEST_F(RootsTest, TheGramMatrixIsKept) {
  const auto C = fisher(problem.graph);
  const auto& root = *C.root_form()->root;
  EXPECT_TRUE(root.gram().is_same((2 * C + 1).root_form()->root->gram()));
}

}  // namespace
}  // namespace natgrad::testing::output_root_test
