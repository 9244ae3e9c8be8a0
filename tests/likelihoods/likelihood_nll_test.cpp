#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include "support/dense_oracles.h"
#include "support/likelihood_families.h"

// Every family as a loss: `nll` with a weight for each observation, read back off the graph.

namespace natgrad::testing::likelihood_nll_test {
namespace {

// Sums of a few terms of order one in double.
constexpr double kExact = 1e-11;

class LikelihoodNll : public ::testing::TestWithParam<LikelihoodCase> {
 protected:
  // The outputs as those of a network with one parameter for each.
  const Tensor w_ = GetParam().outputs.clone().requires_grad_();
  const Tensor y_ = GetParam().support().points.back();
  const Tensor weights_ = 0.5 + randn(GetParam().make()->log_prob(y_).sizes(), 9).square();

  Tensor loss_of(const Tensor& z) const {
    return (weights_ * nll(GetParam().family.make(z), y_, at::Reduction::None)).sum();
  }
  LossGraph graph() const { return {loss_of(w_.view_as(w_)), {w_}}; }
};

TEST_P(LikelihoodNll, FisherCarriesTheWeights) {
  const auto f = dense(fisher(graph()));
  const auto likelihood = GetParam().make();
  const auto s = likelihood->align(weights_).expand_as(w_);
  const auto expected = matrix_of(
      [&](const Tensor& v) { return s * likelihood->fisher_multiply(v.view(w_.sizes())); },
      w_.numel());
  EXPECT_LT(relative_error(f, expected), kExact);
}

TEST_P(LikelihoodNll, GaussNewtonIsTheHessianInTheOutputs) {
  const auto g = dense(gauss_newton(graph()));
  const auto z = GetParam().outputs.clone().requires_grad_();
  const auto log_prob = GetParam().family.make(z)->log_prob(y_);
  EXPECT_LT(relative_error(g, hessian(-(weights_ * log_prob).sum(), {z})), kExact);
}

TEST_P(LikelihoodNll, GaussNewtonIsTheFisherExactlyWhereTheFamilySaysSo) {
  const auto graph = this->graph();
  const double difference = relative_error(dense(gauss_newton(graph)), dense(fisher(graph)));
  EXPECT_EQ(GetParam().make()->hessian_is_fisher(), difference < kExact)
      << "difference " << difference;
}

// Two losses of one family on the same outputs are one term of both weights.
TEST_P(LikelihoodNll, TermsOfOneFamilyMerge) {
  const auto z = w_.view_as(w_);
  const LossGraph sum(loss_of(z) + loss_of(z), {w_});
  EXPECT_EQ(sum.terms().size(), 1);
  EXPECT_LT(relative_error(dense(fisher(sum)), 2 * dense(fisher(graph()))), kExact);
}

INSTANTIATE_TEST_SUITE_P(Families, LikelihoodNll, ::testing::ValuesIn(likelihood_cases()),
                         likelihood_case_name);

}  // namespace
}  // namespace natgrad::testing::likelihood_nll_test
