// `equivalence` against every family and every loss of the tables: F by quadrature over the support
// and G by a second derivative along one direction, of which the library computes neither.

#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include <limits>

#include "support/curvature_cases.h"
#include "support/graph_readings.h"
#include "support/likelihood_families.h"

namespace natgrad::testing::equivalence_families_test {
namespace {

// The quadrature's digits; F and G are sums of a few terms.
constexpr double kExact = 1e-9;

/// z = z₀ + t d of one parameter t = 0: F and G are numbers.
class AlongOneDirection : public ::testing::TestWithParam<LikelihoodCase> {
 protected:
  const Tensor z_ = GetParam().outputs, d_ = 0.3 * randn(z_.sizes(), 77);
  const std::shared_ptr<Likelihood> likelihood_ = GetParam().make();
  const Tensor y_ = likelihood_->sample(seeded(78));

  std::shared_ptr<Likelihood> moved_by(const Tensor& t) const {
    return GetParam().family.make(z_ + t * d_);
  }

  /// E[(∂ log r/∂t)²], observation by observation: each has a t of its own.
  double fisher() const {
    const auto support = GetParam().support();
    const auto like = likelihood_->log_prob(support.points[0]).detach();
    double sum = 0;
    for (size_t k = 0; k < support.points.size(); ++k) {
      const auto t = torch::zeros_like(like).requires_grad_();
      const auto log_r = moved_by(likelihood_->align(t))->log_prob(support.points[k]);
      const auto slope = torch::autograd::grad({log_r.sum()}, {t})[0];
      sum += (support.measure[k] * log_r.detach().exp() * slope.square()).sum().item<double>();
    }
    return sum;
  }

  /// -∂²/∂t² log r(y|z).
  double gauss_newton() const {
    const auto t = torch::zeros({}, torch::kDouble).requires_grad_();
    const auto log_r = moved_by(t)->log_prob(y_).sum();
    const auto slope = torch::autograd::grad({log_r}, {t}, {}, true, true)[0];
    if (!slope.requires_grad()) return 0;
    const auto curvature = torch::autograd::grad({slope}, {t}, {}, true, false, true)[0];
    return curvature.defined() ? -curvature.item<double>() : 0;
  }

  double distance() const {
    const double F = fisher(), G = gauss_newton();
    return G != 0 ? std::abs((F - G) / G) : std::numeric_limits<double>::infinity();
  }

  Equivalence found() const {
    const auto t = torch::zeros({}, torch::kDouble).requires_grad_();
    return equivalence(LossGraph(nll(moved_by(t), y_, at::Reduction::Sum), {t}));
  }
};

TEST_P(AlongOneDirection, TheDistanceIsThatOfTheTwoMatricesAndConditionFiveHoldsWhereItIsKnown) {
  const auto report = found();
  const double expected = distance(), actual = report.distance.value();
  if (!std::isfinite(expected)) {
    EXPECT_EQ(actual, expected);
  } else {
    EXPECT_NEAR(actual, expected, kExact * (1 + expected));
  }
  const bool known = likelihood_->hessian_is_fisher();
  ASSERT_EQ(report.terms.size(), 1);
  EXPECT_EQ(report.terms[0].told, known);
  EXPECT_EQ(report.terms[0].holds, known) << report.message();
  EXPECT_EQ(report.holds_for_every_target, known);
  EXPECT_EQ(report.terms[0].breach == Breach::None, known);
  EXPECT_TRUE(report.terms[0].target_gap.has_value()) << report.terms[0].targets;
}

/// Each family at its first shape.
std::vector<LikelihoodCase> one_of_each_family() {
  std::vector<LikelihoodCase> chosen;
  for (const auto& each : likelihood_cases()) {
    if (chosen.empty() || chosen.back().family.name != each.family.name) chosen.push_back(each);
  }
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Families, AlongOneDirection, ::testing::ValuesIn(one_of_each_family()),
                         likelihood_case_name);

/// What users write, read off its graph.
struct OfALoss : ::testing::TestWithParam<LossCase> {};

TEST_P(OfALoss, FisherAndGaussNewtonAreEqualWhereItsTermsSaySo) {
  const auto problem = make_problem(GetParam());
  const auto report = equivalence(problem.graph);
  if (!GetParam().has_likelihood()) {
    EXPECT_FALSE(report.holds);
    return;
  }
  EXPECT_EQ(report.holds_for_every_target, GetParam().hessian_is_fisher()) << report.message();
  for (const auto& term : report.terms) {
    EXPECT_FALSE(term.below.empty());
    EXPECT_FALSE(term.above.empty()) << term.below;
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, OfALoss, ::testing::ValuesIn(losses()), ByName());

}  // namespace
}  // namespace natgrad::testing::equivalence_families_test
