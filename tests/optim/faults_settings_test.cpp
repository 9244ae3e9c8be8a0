// docs/faults.md, rows 14 to 17: settings, and parts of the user's own.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/preconditioners/preconditioner.h>

#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::faults_settings_test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- Rows 14 to 16: settings. ----

TEST(FaultsSettings, Row14NoIterationsThrowWhereTheyAreSet) {
  expect_error([] { NaturalGradientOptions().solver(ConjugateGradient().max_iterations(0)); },
               "max_iterations");
}

TEST(FaultsSettings, Row15TolerancesOutOfRangeThrowWhereTheyAreSet) {
  for (const double bad : {-1e-9, kNaN, kInfinity}) {
    expect_error([&] { NaturalGradientOptions().solver(ConjugateGradient().tolerance(bad)); },
                 "tolerance");
  }
  // Zero means: as far as the iterations, or the progress, go.
  EXPECT_NO_THROW(NaturalGradientOptions().solver(ConjugateGradient().tolerance(0)));
}

TEST(FaultsSettings, Row16RatesAndLambdasOutOfRangeThrowAtConstruction) {
  const auto w = torch::zeros({2}, torch::kDouble).requires_grad_();
  for (const double bad : {-0.1, kNaN, kInfinity}) {
    expect_error([&] { NaturalGradient({w}, NaturalGradientOptions(bad)); }, "lr");
    expect_error([&] { NaturalGradientOptions().damping(Tikhonov(bad)); }, "ambda");
    expect_error([&] { NaturalGradientOptions().damping(LevenbergMarquardt().initial(bad)); },
                 "initial");
    expect_error([&] { NaturalGradient({w}, NaturalGradientOptions().weight_decay(bad)); },
                 "weight_decay");
  }
}

// ---- Row 17: a preconditioner that is none. ----

/// The identity times a number that the test may change.
struct Multiple final : Preconditioner {
  explicit Multiple(std::shared_ptr<double> factor) : factor_(std::move(factor)) {}
  LinearOperator at(const LossGraph& graph, double) const override {
    const auto& layout = graph.parameters();
    return {"a multiple of the identity", layout.size(), layout.options(),
            [factor = factor_](const Tensor& v) { return *factor * v; }};
  }
  std::string describe() const override { return "Multiple()"; }
  std::unique_ptr<Preconditioner> clone() const override {
    return std::make_unique<Multiple>(*this);
  }
  std::shared_ptr<double> factor_;
};

TEST(FaultsSettings, Row17APreconditionerThatIsNotPositiveDefiniteThrows) {
  for (const double bad : {-1., 0., kNaN}) {
    SCOPED_TRACE(bad);
    const auto factor = std::make_shared<double>(1);
    const auto options = NaturalGradientOptions()
                             .curvature(FisherOrGaussNewton())
                             .damping(Tikhonov(0.1))
                             .solver(ConjugateGradient())
                             .preconditioner(Multiple(factor));
    const auto fault = [&](Training& training) {
      *factor = bad;
      const auto step = [&] { training.optimizer->step(training.loss(94)); };
      expect_error(step, "not positive definite");
      *factor = 1;
    };
    expect_no_trace(fault, options);
  }
}

}  // namespace
}  // namespace natgrad::testing::faults_settings_test
