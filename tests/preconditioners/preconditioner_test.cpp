#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <natgrad/preconditioners/kronecker_factored.h>
#include <natgrad/preconditioners/low_rank.h>
#include <natgrad/preconditioners/propagated_diagonal.h>
#include <natgrad/solvers/conjugate_gradients.h>

#include "support/example_gradients.h"

namespace natgrad::testing::preconditioner_test {
namespace {

// Theory's bar in double.
constexpr double kRounding = 1e-10;
constexpr double kLambda = 1e-3;

struct PreconditionerTest : ::testing::Test {
  Problem problem = make_problem(loss_named("CrossEntropyMean"));
  Tensor empirical_fisher() const {
    return empirical_fisher_matrix(example_gradients(problem),
                                   torch::full({kExamples}, 1. / kExamples, torch::kDouble));
  }
  Tensor eye() const { return torch::eye(problem.size(), torch::kDouble); }
};

TEST_F(PreconditionerTest, FisherDiagonalIsMartens) {
  const auto d = empirical_fisher().diagonal();
  for (const double exponent : {0.75, 1.}) {
    const auto M = dense(FisherDiagonal().exponent(exponent).at(problem.graph, kLambda));
    EXPECT_LT(relative_error(M, (d + kLambda).pow(-exponent).diag()), kRounding);
  }
  EXPECT_EQ(FisherDiagonal().exponent(), 0.75);
}

TEST_F(PreconditionerTest, PropagatedDiagonalTendsToTheFishersDiagonal) {
  constexpr int64_t kProbes = 1500;
  const auto M = PropagatedDiagonal().exponent(1).probes(kProbes).at(problem.graph, kLambda);
  const auto estimate = 1 / dense(M).diagonal() - kLambda;
  const auto d = dense(fisher(problem.graph)).diagonal();
  // √(2/probes) of an entry; 5 deviations.
  EXPECT_LT(((estimate - d).abs() - 5 * std::sqrt(2. / kProbes) * d).max().item<double>(),
            kRounding);
}

TEST_F(PreconditionerTest, PropagatedDiagonalOfTheUsersOwnLossIsPositive) {
  const auto own = make_problem(loss_named("OwnErrorOfCubes"));
  const auto M = dense(PropagatedDiagonal().probes(1).at(own.graph, kLambda)).diagonal();
  EXPECT_GT(M.min().item<double>(), 0);
  EXPECT_LE(M.max().item<double>(), std::pow(kLambda, -0.75) * (1 + kRounding));
}

TEST_F(PreconditionerTest, LowRankIsTheDampedInverseOfTheEmpiricalFisherMatrix) {
  const auto expected = torch::linalg_inv(empirical_fisher() + kLambda * eye());
  EXPECT_LT(relative_error(dense(LowRank().at(problem.graph, kLambda)), expected), kRounding);
}

TEST_F(PreconditionerTest, LowRankOfARankKeepsTheLeadingEigenvectors) {
  const auto [values, vectors] = torch::linalg_eigh(empirical_fisher());
  const int64_t rank = 2, p = problem.size();
  const auto kept = vectors.narrow(1, p - rank, rank);
  const auto approximation = kept.mm(values.narrow(0, p - rank, rank).diag()).mm(kept.t());
  const auto expected = torch::linalg_inv(approximation + kLambda * eye());
  EXPECT_LT(relative_error(dense(LowRank().rank(rank).at(problem.graph, kLambda)), expected),
            kRounding);
}

// As exact as the numbers themselves, since equal text means equal settings.
TEST_F(PreconditionerTest, TextTellsCloseSettingsApart) {
  constexpr double kClose = 1e-12;
  EXPECT_NE(FisherDiagonal().exponent(0.5 + kClose).describe(),
            FisherDiagonal().exponent(0.5).describe());
  EXPECT_NE(PropagatedDiagonal().exponent(0.5 + kClose).describe(),
            PropagatedDiagonal().exponent(0.5).describe());
  EXPECT_NE(KroneckerFactored().decay(0.5 + kClose).describe(),
            KroneckerFactored().decay(0.5).describe());
}

TEST_F(PreconditionerTest, SettingsOutOfRangeThrow) {
  const auto& graph = problem.graph;
  for (const double exponent : {0., 1.5}) {
    expect_error([&] { FisherDiagonal().exponent(exponent).at(graph, 1); }, "in (0, 1]");
    expect_error([&] { PropagatedDiagonal().exponent(exponent).at(graph, 1); }, "in (0, 1]");
  }
  expect_error([&] { PropagatedDiagonal().probes(0).at(graph, 1); }, "at least 1 probe");
  expect_error([&] { LowRank().rank(-1).at(graph, 1); }, "at least 1");
}

// ---- What any of them must be. ----

struct PreconditionerCase {
  std::string name;
  std::shared_ptr<const Preconditioner> preconditioner;
  std::shared_ptr<const Curvature> curvature = Fisher().clone();  // whose inverse it is near
};

std::vector<PreconditionerCase> all_preconditioners() {
  const auto samples = KroneckerOptions().samples(20);
  return {{"FisherDiagonal", FisherDiagonal().clone()},
          {"PropagatedDiagonal", PropagatedDiagonal().clone()},
          {"LowRank", LowRank().clone(), EmpiricalFisher().clone()},
          {"KroneckerFactored", KroneckerFactored().factors(samples).clone()}};
}

/// A small autoencoder with a linear code, whose inputs and hidden units are of very different
/// sizes.
struct Autoencoder {
  static constexpr int64_t kExamples = 60, kInputs = 12, kHidden = 8, kCode = 3;
  Tensor inputs = torch::logspace(-2, 2, kInputs, 10, torch::kDouble);
  Tensor hidden = torch::logspace(-1, 1, kHidden, 10, torch::kDouble);
  std::vector<Tensor> parameters = {for_sizes(inputs, kHidden, 1),  parameter({kHidden}, 2),
                                    for_sizes(hidden, kCode, 3),    parameter({kCode}, 4),
                                    parameter({kHidden, kCode}, 5), parameter({kHidden}, 6),
                                    for_sizes(hidden, kInputs, 7),  parameter({kInputs}, 8)};
  LossGraph graph{loss(), parameters, seeded(9)};

  /// Weights that give sums of moderate size.
  static Tensor for_sizes(const Tensor& sizes, int64_t outputs, uint64_t seed) {
    return (randn({outputs, sizes.numel()}, seed) / sizes).requires_grad_();
  }
  Tensor loss() const {
    const auto& p = parameters;
    const auto u = randn({kExamples, kInputs}, 10);
    const auto up = torch::linear(u * inputs, p[0], p[1]).tanh() * hidden;
    const auto down = torch::linear(torch::linear(up, p[2], p[3]), p[4], p[5]).tanh() * hidden;
    return nll(Bernoulli(torch::linear(down, p[6], p[7])), u.sigmoid());
  }
};

struct AllPreconditioners : ::testing::TestWithParam<PreconditionerCase> {
  const Preconditioner& preconditioner = *GetParam().preconditioner;
};

TEST_P(AllPreconditioners, LeadCgToTheSolutionInFewerIterations) {
  constexpr double lambda = 1e-2;
  const Autoencoder problem;
  const auto C = dense(GetParam().curvature->at(problem.graph).matrix + lambda);
  const auto b = -problem.graph.gradient();
  const auto solver = ConjugateGradient().max_iterations(2000).tolerance(1e-6);
  const auto plain = solver.solve({from_dense(C), b}).summary;
  const auto M = preconditioner.at(problem.graph, lambda);
  const auto [x, summary, snapshots, basis, in_rows] = solver.solve({from_dense(C), b, {}, M});
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_LE((C.mv(x) - b).norm().item<double>(), 1e-6 * b.norm().item<double>());
  EXPECT_LT(4 * summary.iterations, 3 * plain.iterations);
}

TEST_P(AllPreconditioners, LeadCgToTheDenseSolution) {
  constexpr double lambda = 10;
  const Autoencoder problem;
  const auto C = dense(GetParam().curvature->at(problem.graph).matrix + lambda);
  const auto b = -problem.graph.gradient();
  const auto x = ConjugateGradient()
                     .max_iterations(2000)
                     .tolerance(1e-12)
                     .solve({from_dense(C), b, {}, preconditioner.at(problem.graph, lambda)})
                     .x;
  EXPECT_LT(relative_error(x, torch::linalg_solve(C, b)), kRounding);
}

TEST_P(AllPreconditioners, ArePositiveDefiniteAndSymmetric) {
  const Autoencoder problem;
  const auto M = dense(preconditioner.at(problem.graph, kLambda));
  EXPECT_LT(relative_error(M.t(), M), kRounding);
  EXPECT_GT(torch::linalg_eigvalsh(M).min().item<double>(), 0);
}

TEST_P(AllPreconditioners, AreReproducible) {
  const auto matrix = [&] { return dense(preconditioner.at(Autoencoder().graph, kLambda)); };
  EXPECT_TRUE(identical(matrix(), matrix()));
}

TEST_P(AllPreconditioners, NeedDampingAndSaySo) {
  const auto graph = Autoencoder().graph;
  for (const double lambda : {0., -1., std::numeric_limits<double>::quiet_NaN()}) {
    expect_error([&] { preconditioner.at(graph, lambda); }, "lambda > 0");
    expect_error([&] { preconditioner.at(graph, lambda); }, GetParam().name);
  }
}

TEST_P(AllPreconditioners, AreCopiedWithTheirSettings) {
  EXPECT_EQ(preconditioner.clone()->describe(), preconditioner.describe());
  EXPECT_EQ(preconditioner.describe().rfind(GetParam().name, 0), 0u);
}

TEST_P(AllPreconditioners, RefuseTheStateOfOthers) {
  expect_error([&] { preconditioner.clone()->set_state({torch::zeros({1})}); }, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Preconditioners, AllPreconditioners,
                         ::testing::ValuesIn(all_preconditioners()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::preconditioner_test
