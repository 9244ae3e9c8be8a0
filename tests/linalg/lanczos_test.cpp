#include <natgrad/linalg/lanczos.h>

#include <natgrad/curvature/fisher.h>

#include "support/graph_readings.h"
#include "support/oracles.h"

namespace natgrad::testing::lanczos_test {
namespace {

// Products and orthogonalisations with matrices of up to 60 rows, relative to the largest |λ|.
constexpr double kRounding = 1e-13;
// What the options ask for, relative to the largest |λ|.
constexpr double kTolerance = 1e-11;

struct SpectrumCase {
  std::string name;
  Tensor eigenvalues;
  int64_t count;
};

std::ostream& operator<<(std::ostream& out, const SpectrumCase& c) { return out << c.name; }

Tensor numbers(std::vector<double> values) { return torch::tensor(values, torch::kDouble); }

/// These, and zeros up to `size`.
Tensor and_zeros(std::vector<double> values, int64_t size) {
  values.resize(size);
  return numbers(values);
}

std::vector<SpectrumCase> spectra() {
  return {
      {"Even", torch::linspace(0.1, 5, 40, torch::kDouble), 4},
      {"Condition1e6", geometric_spectrum(60, 1e6), 6},
      {"AllOfCondition1e6", geometric_spectrum(30, 1e6), 30},
      {"LeadingRepeated", numbers({7, 7, 7, 4, 4, 3, 2, 1, 0.5, 0.4, 0.3, 0.2, 0.1}), 5},
      {"LastWantedRepeated", numbers({7, 5, 5, 5, 2, 1, 0.3, 0.2, 0.1}), 2},
      {"RepeatedToTheEnd", numbers({3, 3, 3, 3, 1, 1, 1, 1}), 8},
      {"NearlyRepeated", numbers({1, 1 - 1e-7, 1 - 2e-7, 0.5, 0.2, 0.1, 0.05}), 3},
      {"LowRank", and_zeros({4, 2, 1}, 30), 3},
      {"LowRankAndZeros", and_zeros({4, 2, 2}, 12), 6},
      {"Zero", and_zeros({}, 5), 2},
      {"Identity", torch::ones({9}, torch::kDouble), 3},
      {"Negative", -torch::linspace(1, 9, 20, torch::kDouble), 3},
      {"Indefinite", torch::linspace(-6, 4, 30, torch::kDouble), 7},
      {"SignsInPairs", numbers({5, -5, 3, -3, 1, -1}), 4},
      {"OneByOne", numbers({-2}), 1},
      {"TwoByTwo", numbers({2, -3}), 2},
      {"Tiny", 1e-100 * torch::linspace(0.1, 5, 20, torch::kDouble), 3},
  };
}

/// The reference: all eigenvalues by LAPACK, and which of them lead.
struct Reference {
  Reference(const Tensor& matrix, Leading leading)
      : all(std::get<0>(torch::linalg_eigh(matrix))),
        leads(std::get<0>((leading == Leading::ByMagnitude ? all.abs() : all).sort(0, true))),
        scale(all.abs().max().item<double>()) {}
  Tensor all, leads;
  double scale;
};

struct Spectra : ::testing::TestWithParam<std::tuple<SpectrumCase, Leading>> {
  const SpectrumCase& spectrum = std::get<0>(GetParam());
  Leading leading = std::get<1>(GetParam());
  Tensor matrix = symmetric_with_spectrum(spectrum.eigenvalues, 601);
  Reference reference{matrix, leading};
  LanczosOptions options =
      LanczosOptions().count(spectrum.count).leading(leading).tolerance(kTolerance);

  Tensor leads_of(const Tensor& values) const {
    return leading == Leading::ByMagnitude ? values.abs() : values;
  }
};

TEST_P(Spectra, LeadingEigenvaluesAreThoseOfLapack) {
  const auto pairs = leading_eigenpairs(from_dense(matrix), options);
  EXPECT_TRUE(pairs.converged);
  ASSERT_EQ(pairs.values.numel(), spectrum.count);
  const auto errors = leads_of(pairs.values) - reference.leads.narrow(0, 0, spectrum.count);
  EXPECT_LE(errors.abs().max().item<double>(), kTolerance * reference.scale);
}

TEST_P(Spectra, ResidualsAreTrueAndBoundTheErrors) {
  const auto pairs = leading_eigenpairs(from_dense(matrix), options);
  const auto residuals = (matrix.mm(pairs.vectors) - pairs.vectors * pairs.values).norm(2, 0);
  const double rounding = kRounding * reference.scale;
  EXPECT_LE((pairs.residuals - residuals).abs().max().item<double>(), rounding);
  EXPECT_LE(residuals.max().item<double>(), kTolerance * reference.scale);
  const auto distances = (pairs.values.unsqueeze(1) - reference.all.unsqueeze(0)).abs().amin({1});
  EXPECT_TRUE((distances <= residuals + rounding).all().item<bool>());
}

TEST_P(Spectra, VectorsAreOrthonormal) {
  const auto vectors = leading_eigenpairs(from_dense(matrix), options).vectors;
  EXPECT_LT(relative_error(vectors.t().mm(vectors), torch::eye(spectrum.count, torch::kDouble)),
            kRounding);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Spectra,
    ::testing::Combine(::testing::ValuesIn(spectra()),
                       ::testing::Values(Leading::ByMagnitude, Leading::Algebraic)),
    [](const auto& info) {
      const bool by_magnitude = std::get<1>(info.param) == Leading::ByMagnitude;
      return std::get<0>(info.param).name + (by_magnitude ? "ByMagnitude" : "Algebraic");
    });

Tensor a_matrix() { return random_spd(50, 1e4, 602); }

TEST(LanczosTest, VectorsAreThoseOfLapackUpToSign) {
  const auto vectors =
      leading_eigenpairs(from_dense(a_matrix()), LanczosOptions().count(3).tolerance(kTolerance))
          .vectors;
  const auto expected = std::get<1>(torch::linalg_eigh(a_matrix())).narrow(1, 47, 3).flip(1);
  const auto cosines = vectors.mul(expected).sum(0).abs();
  // An angle of residual/gap, squared.
  EXPECT_LT((1 - cosines).abs().max().item<double>(), kRounding);
}

TEST(LanczosTest, CountsItsProducts) {
  int64_t products = 0;
  const LinearOperator counting("counting", 50, torch::kDouble, [&](const Tensor& v) {
    ++products;
    return a_matrix().mv(v);
  });
  EXPECT_EQ(leading_eigenpairs(counting, LanczosOptions().count(2)).products, products);
  EXPECT_LT(products, 100);  // two runs that both end before the space does
}

TEST(LanczosTest, FindsOutliersOfABulkLongBeforeTheSpaceIsExhausted) {
  const auto bulk = torch::rand({300}, seeded(603), torch::kDouble);
  for (const auto& outliers : {numbers({10, 9.5, 9}), numbers({10, 10}), numbers({10, -9, -9})}) {
    const auto matrix = symmetric_with_spectrum(torch::cat({outliers, bulk}), 604);
    const auto pairs =
        leading_eigenpairs(from_dense(matrix), LanczosOptions().count(2).tolerance(kTolerance));
    EXPECT_TRUE(pairs.converged);
    EXPECT_LT(relative_error(pairs.values, outliers.narrow(0, 0, 2)), kTolerance);
    EXPECT_LT(pairs.products, 100);
  }
}

TEST(LanczosTest, TooFewIterationsAreReportedAndTheBoundsStillHold) {
  const auto reference = Reference(a_matrix(), Leading::ByMagnitude);
  for (const int64_t iterations : {3, 4, 8}) {
    const auto pairs = leading_eigenpairs(
        from_dense(a_matrix()),
        LanczosOptions().count(3).max_iterations(iterations).tolerance(kTolerance));
    EXPECT_FALSE(pairs.converged);
    EXPECT_EQ(pairs.products, iterations + 3);
    const auto distances = (pairs.values.unsqueeze(1) - reference.all.unsqueeze(0)).abs().amin({1});
    EXPECT_TRUE((distances <= pairs.residuals).all().item<bool>());
    EXPECT_GT(pairs.residuals.max().item<double>(), kTolerance);
  }
}

TEST(LanczosTest, RepeatsForASeed) {
  const auto one = leading_eigenpairs(from_dense(a_matrix()), LanczosOptions().seed(3));
  const auto again = leading_eigenpairs(from_dense(a_matrix()), LanczosOptions().seed(3));
  const auto other = leading_eigenpairs(from_dense(a_matrix()), LanczosOptions().seed(4));
  EXPECT_TRUE(identical(one.vectors, again.vectors));
  EXPECT_FALSE(identical(one.vectors, other.vectors));
}

TEST(LanczosTest, Float32ReachesItsOwnRounding) {
  constexpr double kRoundingFloat = 1e-5;
  const auto matrix = a_matrix().to(torch::kFloat);
  const auto pairs = leading_eigenpairs(from_dense(matrix), LanczosOptions().count(4));
  EXPECT_TRUE(pairs.converged);
  EXPECT_EQ(pairs.vectors.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(pairs.values,
                           Reference(a_matrix(), Leading::ByMagnitude).leads.narrow(0, 0, 4)),
            kRoundingFloat);
}

TEST(LanczosTest, FindsTheSpectrumOfAFisherMatrix) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto F = fisher(problem.graph);
  const auto pairs = leading_eigenpairs(F, LanczosOptions().count(5).tolerance(kTolerance));
  const auto expected = Reference(dense(F), Leading::Algebraic).leads.narrow(0, 0, 5);
  EXPECT_LT(relative_error(pairs.values, expected), 10 * kTolerance);
}

TEST(LanczosTest, OptionsOutOfRangeThrow) {
  const auto A = from_dense(a_matrix());
  for (const int64_t count : {0, 51}) {
    expect_error([&] { leading_eigenpairs(A, LanczosOptions().count(count)); }, "1 to 50");
  }
  expect_error([&] { leading_eigenpairs(A, LanczosOptions().count(9).max_iterations(8)); },
               "max_iterations is 8");
  for (const double tolerance : {-1., 1., std::nan("")}) {
    expect_error([&] { leading_eigenpairs(A, LanczosOptions().tolerance(tolerance)); },
                 "tolerance");
  }
}

TEST(LanczosTest, ProductsThatAreNotFiniteThrow) {
  const auto A = natgrad::diagonal_operator(numbers({1, std::nan(""), 2}));
  expect_error([&] { leading_eigenpairs(A); }, "not finite");
}

}  // namespace
}  // namespace natgrad::testing::lanczos_test
