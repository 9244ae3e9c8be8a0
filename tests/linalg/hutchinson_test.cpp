#include <natgrad/linalg/hutchinson.h>

#include "support/oracles.h"

namespace natgrad::testing::hutchinson_test {
namespace {

constexpr int kRepetitions = 1500;
constexpr int64_t kSize = 6, kProbes = 3;
// Standard errors: a false alarm would have odds of 1e-5, and the seeds are fixed.
constexpr double kConfidence = 4.5;
// A few hundred additions in double.
constexpr double kRounding = 1e-13;

Tensor matrix() {
  return symmetric_with_spectrum(torch::linspace(-1, 3, kSize, torch::kDouble), 501);
}

Tensor squares_off_the_diagonal() {
  const auto m = matrix();
  return (m - torch::diag(m.diagonal())).square();
}

/// What an estimator answers on `matrix()`, [elements], and what it ought to.
struct EstimatorCase {
  std::string name;
  std::function<Estimate(const LinearOperator&, at::Generator)> estimate;
  Tensor expectation, variance_of_one_probe;
};

std::ostream& operator<<(std::ostream& out, const EstimatorCase& c) { return out << c.name; }

std::vector<EstimatorCase> estimator_cases() {
  const auto m = matrix();
  const auto trace = m.trace().view(1), diagonal = m.diagonal();
  const auto traces = [](Probes kind) {
    return [kind](const LinearOperator& A, at::Generator generator) {
      const auto [value, error] = hutchinson_trace(A, kProbes, std::move(generator), kind);
      return Estimate{value.view(1), error.view(1)};
    };
  };
  const auto diagonals = [](Probes kind) {
    return [kind](const LinearOperator& A, at::Generator generator) {
      return hutchinson_diagonal(A, kProbes, std::move(generator), kind);
    };
  };
  return {
      {"TraceByRademacher", traces(Probes::Rademacher), trace,
       2 * squares_off_the_diagonal().sum().view(1)},
      {"TraceByNormal", traces(Probes::Normal), trace, 2 * m.square().sum().view(1)},
      {"DiagonalByRademacher", diagonals(Probes::Rademacher), diagonal,
       squares_off_the_diagonal().sum(1)},
      {"DiagonalByNormal", diagonals(Probes::Normal), diagonal,
       diagonal.square() + m.square().sum(1)},
  };
}

struct Estimators : ::testing::TestWithParam<EstimatorCase> {};

/// |mean of the rows - expected| in units of the mean's own standard error, the largest.
double deviation(const std::vector<Tensor>& list, const Tensor& expected) {
  const auto rows = torch::stack(list);
  const auto error = rows.std(0) / std::sqrt(double(kRepetitions));
  return ((rows.mean(0) - expected).abs() / error).max().item<double>();
}

TEST_P(Estimators, AreUnbiasedWithTheStatedVarianceAndReportIt) {
  const auto variance = GetParam().variance_of_one_probe / kProbes;
  std::vector<Tensor> values, squares, reported;
  auto generator = seeded(502);
  for (int i = 0; i < kRepetitions; ++i) {
    const auto [value, error] = GetParam().estimate(from_dense(matrix()), generator);
    values.push_back(value);
    squares.push_back((value - GetParam().expectation).square());
    reported.push_back(error.square());
  }
  EXPECT_LT(deviation(values, GetParam().expectation), kConfidence);
  EXPECT_LT(deviation(squares, variance), kConfidence);
  EXPECT_LT(deviation(reported, variance), kConfidence);
  // And these repetitions can tell them from ones half as large again.
  EXPECT_GT(deviation(squares, 1.5 * variance), kConfidence);
  EXPECT_GT(deviation(reported, 1.5 * variance), kConfidence);
}

TEST_P(Estimators, RepeatForASeed) {
  const auto one = GetParam().estimate(from_dense(matrix()), seeded(503));
  const auto other = GetParam().estimate(from_dense(matrix()), seeded(503));
  EXPECT_TRUE(identical(one.value, other.value));
  EXPECT_TRUE(identical(one.standard_error, other.standard_error));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Estimators, ::testing::ValuesIn(estimator_cases()),
                         [](const auto& info) { return info.param.name; });

/// The matrix of this size, and all vectors that it was multiplied with.
LinearOperator recording(const Tensor& m, std::vector<Tensor>* vectors) {
  return {"recording", m.size(0), m.options(), [=](const Tensor& v) {
            vectors->push_back(v.clone());
            return m.mv(v);
          }};
}

TEST(HutchinsonTest, IsExactForADiagonalMatrixByRademacherProbes) {
  const auto d = randn({kSize}, 504);
  const auto A = natgrad::diagonal_operator(d);
  const auto trace = hutchinson_trace(A, 5, seeded(505));
  EXPECT_LT(relative_error(trace.value, d.sum()), kRounding);
  EXPECT_EQ(trace.standard_error.item<double>(), 0);
  const auto estimate = hutchinson_diagonal(A, 5, seeded(505));
  EXPECT_TRUE(identical(estimate.value, d));
  EXPECT_TRUE(identical(estimate.standard_error, torch::zeros_like(d)));
}

TEST(HutchinsonTest, IsTheMeanOverAllProbesAlsoOfSeveralBlocks) {
  constexpr int64_t kMany = 150;
  std::vector<Tensor> probes;
  const auto [value, error] = hutchinson_trace(recording(matrix(), &probes), kMany, seeded(506));
  ASSERT_EQ(static_cast<int64_t>(probes.size()), kMany);
  const auto v = torch::stack(probes);
  const auto samples = v.mm(matrix()).mul(v).sum(1);
  EXPECT_LT(relative_error(value, samples.mean()), kRounding);
  EXPECT_LT(relative_error(error, samples.std() / std::sqrt(double(kMany))), kRounding);
}

TEST(HutchinsonTest, ASingleProbeHasNoStandardError) {
  const auto estimate = hutchinson_trace(from_dense(matrix()), 1, seeded(507));
  EXPECT_TRUE(all_finite(estimate.value));
  EXPECT_TRUE(estimate.standard_error.isnan().item<bool>());
}

TEST(HutchinsonTest, Float32MatricesAreAveragedInDouble) {
  const auto d = torch::rand({1000}, seeded(508), torch::kFloat);
  const auto trace = hutchinson_trace(natgrad::diagonal_operator(d), 2, seeded(509));
  EXPECT_LT(relative_error(trace.value, d.to(torch::kDouble).sum()), kRounding);
}

TEST(HutchinsonTest, NoProbesThrow) {
  for (const int64_t none : {0, -1}) {
    expect_error([&] { hutchinson_trace(from_dense(matrix()), none, seeded(1)); }, "probe");
    expect_error([&] { hutchinson_diagonal(from_dense(matrix()), none, seeded(1)); }, "probe");
  }
}

TEST(ExactDiagonalTest, IsTheDiagonalByPProducts) {
  for (const int64_t size : {1, 7, 64, 130}) {
    std::vector<Tensor> vectors;
    const auto m = randn({size, size}, 510);
    EXPECT_TRUE(identical(exact_diagonal(recording(m, &vectors)), m.diagonal().contiguous()));
    EXPECT_EQ(static_cast<int64_t>(vectors.size()), size);
  }
}

}  // namespace
}  // namespace natgrad::testing::hutchinson_test
