#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/likelihoods/student_t.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/solvers/dual.h>

#include "curvature/scored_examples.h"
#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::score_rows_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double, in another order, through a pseudo-inverse by eigenvalues.
constexpr double kRounding = 1e-10;
// Eigenvalues of a softmax's F_R that are zero but for rounding.
constexpr double kNull = 1e-13;
// Of float32 sums over a small network.
constexpr double kRoundingFloat = 1e-5;
// Of a damped system of condition 1e4 or less, in double.
constexpr double kSolved = 1e-9;
constexpr double kLambda = 1e-2;

/// A loss of class logits z, with the examples' weights and targets as probabilities.
struct ClassLoss {
  std::string name;
  std::function<Tensor(const Tensor& z)> loss;
  Tensor weights, targets;
};

detail::TargetedRows scored(const LossGraph& graph) { return {detail::score_seed(graph), graph}; }

Tensor indicators(const Tensor& y) { return F::one_hot(y, kOutputs).to(torch::kDouble); }

std::vector<ClassLoss> class_losses() {
  const auto y = torch::tensor({0, 2, 5, 2});
  const auto even = torch::full({kExamples}, 1.0 / kExamples, torch::kDouble);
  const auto soft = randn({kExamples, kOutputs}, 91).softmax(1);
  const auto class_weights = torch::tensor({1., 2., 0.5, 1., 3., 0.25}, torch::kDouble);
  const auto w = class_weights.index_select(0, y);
  const auto counted = torch::tensor({1., 0., 1., 1.}, torch::kDouble) / 3;
  return {
      {"Indices", [=](const Tensor& z) { return F::cross_entropy(z, y); }, even, indicators(y)},
      {"Probabilities", [=](const Tensor& z) { return F::cross_entropy(z, soft); }, even, soft},
      {"Smoothed",
       [=](const Tensor& z) {
         return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().label_smoothing(0.3));
       },
       even, 0.7 * indicators(y) + 0.3 / kOutputs},
      {"ClassWeights",
       [=](const Tensor& z) {
         return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().weight(class_weights));
       },
       w / w.sum(), indicators(y)},
      {"Ignored",
       [=](const Tensor& z) {
         auto some = y.clone();
         some[1] = -100;
         return F::cross_entropy(z, some);
       },
       counted, indicators(y)},
      {"Sum",
       [=](const Tensor& z) {
         return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().reduction(torch::kSum));
       },
       torch::ones({kExamples}, torch::kDouble), indicators(y)},
  };
}

/// F_R of one softmax, and its pseudo-inverse by eigenvalues.
Tensor fisher_of_logits(const Tensor& z) {
  const auto p = z.detach().softmax(0);
  return p.diag() - p.outer(p);
}

Tensor pseudo_inverse(const Tensor& A) {
  const auto [values, vectors] = torch::linalg_eigh(A);
  const auto kept = values > kNull * values.max();
  const auto inverse = torch::where(kept, 1 / values, torch::zeros_like(values));
  return (vectors * inverse).mm(vectors.t());
}

/// Q of one example.
Tensor q_of(const Tensor& F_R, const Tensor& score) {
  const double square = score.dot(pseudo_inverse(F_R).mv(score)).item<double>();
  return score.outer(score) / square;
}

struct ClassCase {
  NetworkCase network;
  ClassLoss loss;
};

std::vector<ClassCase> class_cases() {
  std::vector<ClassCase> cases;
  for (const auto& network : networks()) {
    for (const auto& loss : class_losses()) {
      if (network.name == "BatchNormInTraining") continue;
      if (network.name != "Tanh" && loss.name != "Indices") continue;
      cases.push_back({network, loss});
    }
  }
  return cases;
}

struct ScoreRowsOfClasses : ::testing::TestWithParam<ClassCase> {
  Network network = GetParam().network.make();
  Tensor z = network.forward();
  Tensor loss = GetParam().loss.loss(z);
  LossGraph graph{loss, network.parameters};
  Tensor J = jacobian(z, network.parameters);

  /// Σ wᵢ JᵢᵀMᵢJᵢ with M from an example's F_R and score.
  Tensor sum_of(const std::function<Tensor(const Tensor& F_R, const Tensor& score)>& M) const {
    auto sum = torch::zeros({J.size(1), J.size(1)}, torch::kDouble);
    for (int64_t i = 0; i < kExamples; ++i) {
      const auto Ji = J.narrow(0, i * kOutputs, kOutputs);
      const auto score = GetParam().loss.targets[i] - z[i].detach().softmax(0);
      sum += GetParam().loss.weights[i] * Ji.t().mm(M(fisher_of_logits(z[i]), score)).mm(Ji);
    }
    return sum;
  }
};

TEST_P(ScoreRowsOfClasses, AreTheDenseMatrix) {
  EXPECT_LT(relative_error(dense(score_rows(graph)), sum_of(q_of)), kRounding);
}

TEST_P(ScoreRowsOfClasses, LieBelowTheFisherMatrix) {
  const auto difference =
      sum_of([](const Tensor& F_R, const Tensor&) { return F_R; }) - dense(score_rows(graph));
  const auto eigenvalues = torch::linalg_eigvalsh(difference);
  EXPECT_GT(eigenvalues.min().item<double>(), -kRounding * eigenvalues.max().item<double>());
}

TEST_P(ScoreRowsOfClasses, AreTheRootAndTheGradient) {
  const auto examples = scored(graph);
  const auto& rows = examples.rows();
  const auto R = matrix_of([&](const Tensor& v) { return rows.multiply(v); }, J.size(1));
  EXPECT_LT(relative_error(R.t().mm(R), sum_of(q_of)), kRounding);
  EXPECT_LT(relative_error(rows.gram(), R.mm(R.t())), kRounding);
  EXPECT_LT(relative_error(rows.squared_norms(), R.square().sum(1)), kRounding);
  const auto u = randn({kExamples}, 92);
  EXPECT_LT(relative_error(rows.multiply_transposed(u), R.t().mv(u)), kRounding);
  EXPECT_LT(relative_error(-rows.multiply_transposed(examples.targets()),
                           gradient_of(loss, network.parameters)),
            kRounding);
}

TEST_P(ScoreRowsOfClasses, NoiseIsTheMeanSquareOfTheWeighedRows) {
  const auto& w = GetParam().loss.weights;
  auto sum = torch::zeros({}, torch::kDouble);
  for (int64_t i = 0; i < kExamples; ++i) {
    const auto Ji = J.narrow(0, i * kOutputs, kOutputs);
    const auto score = GetParam().loss.targets[i] - z[i].detach().softmax(0);
    sum += w[i] * w[i] * Ji.t().mm(q_of(fisher_of_logits(z[i]), score)).mm(Ji).trace();
  }
  EXPECT_LT(relative_error(ScoreRows().at(graph).noise(seeded(1)), sum / w.sum()), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Classes, ScoreRowsOfClasses, ::testing::ValuesIn(class_cases()),
                         [](const auto& info) {
                           return info.param.network.name + info.param.loss.name;
                         });

/// Families of one output an observation: [kExamples] outputs and targets.
struct ScalarFamily {
  std::string name;
  std::function<Tensor(const Tensor& z)> loss;
};

std::vector<ScalarFamily> scalar_families() {
  const auto real = randn({kExamples}, 93);
  const auto counts = torch::tensor({0., 3., 1., 7.}, torch::kDouble);
  const auto bits = torch::tensor({1., 0., 0., 1.}, torch::kDouble);
  const auto positive = real.abs() + 0.1;
  return {
      {"Bernoulli", [=](const Tensor& z) { return nll(Bernoulli(z), bits); }},
      {"BinaryCrossEntropy",
       [=](const Tensor& z) { return F::binary_cross_entropy_with_logits(z, 0.8 * bits + 0.1); }},
      {"Poisson", [=](const Tensor& z) { return nll(Poisson(z), counts); }},
      {"Gaussian", [=](const Tensor& z) { return nll(Gaussian(z, 0.3), real); }},
      {"MeanSquare", [=](const Tensor& z) { return F::mse_loss(z, real); }},
      {"MeanSquareFarOff", [=](const Tensor& z) { return F::mse_loss(z, 1e9 * real); }},
      {"PoissonFarOff", [=](const Tensor& z) { return nll(Poisson(z - 10), 1e5 * counts); }},
      {"BernoulliFarOff", [=](const Tensor& z) { return nll(Bernoulli(z - 40), bits); }},
      {"Huber", [=](const Tensor& z) { return nll(Huber(z, 1.5), real); }},
      {"Laplace", [=](const Tensor& z) { return nll(Laplace(z, 0.7), real); }},
      {"StudentT", [=](const Tensor& z) { return nll(StudentT(z, 3, 0.5), real); }},
      {"Logistic", [=](const Tensor& z) { return nll(Logistic(z, 0.5), real); }},
      {"NegativeBinomial", [=](const Tensor& z) { return nll(NegativeBinomial(z, 2.5), counts); }},
      {"LogRateExponential", [=](const Tensor& z) { return nll(LogRateExponential(z), positive); }},
  };
}

class ScoreRowsOfOneOutput : public ::testing::TestWithParam<ScalarFamily> {};

TEST_P(ScoreRowsOfOneOutput, AreTheFisherMatrix) {
  const auto network = tanh_network();
  const auto loss = GetParam().loss(network.forward().select(1, 2));
  const LossGraph graph(loss, network.parameters);
  EXPECT_LT(relative_error(dense(score_rows(graph)), dense(fisher(graph))), kRounding);
  const auto examples = scored(graph);
  EXPECT_LT(relative_error(-examples.rows().multiply_transposed(examples.targets()),
                           gradient_of(loss, network.parameters)),
            kRounding);
}

INSTANTIATE_TEST_SUITE_P(Families, ScoreRowsOfOneOutput, ::testing::ValuesIn(scalar_families()),
                         [](const auto& info) { return info.param.name; });

TEST(ScoreRowsTest, OfTwoClassesAreTheFisherMatrix) {
  const auto network = tanh_network();
  const auto y = torch::tensor({0, 1, 1, 0});
  const LossGraph graph(F::cross_entropy(network.forward().narrow(1, 1, 2), y), network.parameters);
  EXPECT_LT(relative_error(dense(score_rows(graph)), dense(fisher(graph))), kRounding);
}

/// Families of several outputs an observation, at some outputs and targets.
struct VectorFamily {
  std::string name;
  std::shared_ptr<const Likelihood> likelihood;
  Tensor y;
  std::function<Tensor(const Tensor& z)> loss;
};

template <class Family, class... Arguments>
VectorFamily vector_family(const std::string& name, const Tensor& z, const Tensor& y,
                           Arguments... arguments) {
  return {name, std::make_shared<const Family>(z, arguments...), y,
          [=](const Tensor& outputs) { return nll(Family(outputs, arguments...), y); }};
}

std::vector<VectorFamily> vector_families() {
  const auto z = randn({kExamples, kOutputs}, 94), pair = z.narrow(1, 0, 2);
  const auto signs = torch::cat({pair.narrow(1, 0, 1), -pair.narrow(1, 1, 1).exp()}, 1);
  const auto real = randn({kExamples, 1}, 96);
  const auto covariance = random_spd(3, 10, 97);
  const auto shape_and_rate = torch::cat({pair.narrow(1, 0, 1).exp(), signs.narrow(1, 1, 1)}, 1);
  return {
      vector_family<Categorical>("Categorical", z, torch::tensor({0, 2, 5, 2})),
      vector_family<LogStdGaussian>("LogStdGaussian", pair, real),
      vector_family<NaturalGaussian>("NaturalGaussian", signs, real),
      vector_family<Gamma>("Gamma", shape_and_rate, real.abs() + 0.1),
      vector_family<FullGaussian>("FullGaussian", z.narrow(1, 0, 3), randn({kExamples, 3}, 98),
                                  covariance),
  };
}

class ScoreFactorOfSeveralOutputs : public ::testing::TestWithParam<VectorFamily> {};

// Q d = F_R d for d = F_R⁻s, the optimal change of z, and sᵀF_R⁻s = c².
TEST_P(ScoreFactorOfSeveralOutputs, KeepsTheNaturalGradientOfEachExample) {
  const auto& likelihood = *GetParam().likelihood;
  const auto score = likelihood.score(GetParam().y);
  const auto [q, c] = likelihood.score_factor(score);
  EXPECT_LT(relative_error(c * q, score), kRounding);
  const auto F = matrix_of(
      [&](const Tensor& v) {
        return likelihood.fisher_multiply(v.view(score.sizes())).reshape(-1);
      },
      score.numel());
  const int64_t K = score.size(1);
  for (int64_t i = 0; i < kExamples; ++i) {
    const auto F_R = F.narrow(0, i * K, K).narrow(1, i * K, K);
    const auto d = pseudo_inverse(F_R).mv(score[i]);
    EXPECT_LT(relative_error(q[i] * q[i].dot(d), F_R.mv(d)), kRounding);
    EXPECT_LT(relative_error(c[i].reshape({}).square(), score[i].dot(d)), kRounding);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ScoreFactorOfSeveralOutputs,
                         ::testing::ValuesIn(vector_families()),
                         [](const auto& info) { return info.param.name; });

// As losses of a network whose outputs they are: the leaf's rows are √s q.
TEST_P(ScoreFactorOfSeveralOutputs, AreTheRowsOfALoss) {
  const auto leaf = GetParam().likelihood->outputs().clone().requires_grad_();
  const auto z = leaf * 1;
  const auto loss = GetParam().loss(z);
  const auto examples = scored(LossGraph(loss, {leaf}));
  EXPECT_LT(relative_error(-examples.rows().multiply_transposed(examples.targets()),
                           gradient_of(loss, {leaf})),
            kRounding);
  const auto& likelihood = *GetParam().likelihood;
  const auto [q, c] = likelihood.score_factor(likelihood.score(GetParam().y));
  const auto u = randn({kExamples}, 99);
  const auto expected = (u.unsqueeze(1) * q / std::sqrt(1.0 * kExamples)).reshape(-1);
  EXPECT_LT(relative_error(examples.rows().multiply_transposed(u), expected), kRounding);
}

// A target so small that its square is none; margins at which probabilities are no normal numbers.
TEST(ScoreRowsTest, TinyProbabilitiesAndTargetsKeepTheirExample) {
  const auto z = torch::tensor({{0.f, -110.f, -1.f}});
  const auto y = torch::tensor({{0.5f, 1e-30f, 0.5f}});
  const Categorical likelihood(z);
  const auto score = y - z.softmax(1);
  const auto [q, c] = likelihood.score_factor(score);
  EXPECT_TRUE(all_finite(c) && all_finite(q));
  EXPECT_LT(relative_error(c * q, score), kRoundingFloat);
  for (const float margin : {40.f, 50.f, 60.f, 80.f}) {
    const Categorical sure(torch::tensor({{margin, 0.f}}));
    const auto s = sure.score(torch::tensor({0}));
    const auto factor = sure.score_factor(s);
    // Of two classes (sᵀF_R⁻s) is the odds of the other one, e^-margin.
    EXPECT_NEAR(2 * std::log(factor.c.item<double>()), -margin, 1e-4 * margin);
  }
}

// Right and wrong by margins where probabilities, and the lengths c, leave the range of the dtype.
TEST(ScoreRowsTest, SaturatedLogitsKeepTheGradientToTheLastDigits) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    for (const double margin : {10., 30., 60., 90., 200., 1e4}) {
      for (const double sign : {1., -1.}) {
        auto W = (0.1 * randn({3, 3}, 95)).to(dtype).requires_grad_();
        const auto x = torch::eye(3, torch::dtype(dtype));
        const auto shift = sign * margin * torch::eye(3, torch::dtype(dtype));
        const auto loss = F::cross_entropy(x.mm(W) + shift, torch::tensor({0, 1, 2}));
        const auto examples = scored(LossGraph(loss, {W}));
        const auto expected = gradient_of(loss, {W});
        const auto gradient = -examples.rows().multiply_transposed(examples.targets());
        // What is smaller is lost in LibTorch's own 1 - p.
        const double lost = dtype == torch::kFloat ? 1e-7 : 1e-15;
        EXPECT_LT((gradient - expected).abs().max().template item<double>(),
                  lost + kRoundingFloat * expected.abs().max().template item<double>())
            << dtype << " at " << sign * margin;
        EXPECT_TRUE(all_finite(examples.rows().gram()));
      }
    }
  }
}

TEST(ScoreRowsTest, AsAnOptionTakesTheDenseStep) {
  const auto network = tanh_network();
  const auto y = torch::tensor({0, 2, 5, 2});
  const auto loss = F::cross_entropy(network.forward(), y);
  const auto C = dense(score_rows(LossGraph(loss, network.parameters)));
  const auto g = gradient_of(loss, network.parameters);
  const auto before = flat(network.parameters).detach().clone();
  NaturalGradient optimizer(
      network.parameters,
      NaturalGradientOptions(1).curvature(ScoreRows()).damping(Tikhonov(kLambda)).solver(Dual()));
  optimizer.step(loss);
  const auto A = C + kLambda * torch::eye(C.size(0), torch::kDouble);
  EXPECT_LT(relative_error(flat(network.parameters).detach() - before, torch::linalg_solve(A, -g)),
            kSolved);
}

TEST(ScoreRowsTest, WhatDoesNotFitIsRefusedAndNamed) {
  const auto network = tanh_network();
  const auto z = network.forward();
  const auto refuse = [&](const Tensor& loss, const std::string& reason) {
    expect_error([&] { score_rows(LossGraph(loss, network.parameters)); }, reason);
  };
  const auto y = torch::tensor({0, 2, 5, 2});
  refuse(F::mse_loss(z, torch::zeros_like(z)), "4 examples hold 24 observations");
  refuse(outputs(z).cosh().log().mean(), "one of your own");
  refuse(penalty(network.parameters.front().square().sum()), "penalties alone");
  refuse(nll(LogStdGaussian(z.narrow(1, 0, 4)), torch::ones({4, 2}, torch::kDouble)),
         "4 examples hold 8 observations");
}

}  // namespace
}  // namespace natgrad::testing::score_rows_test
