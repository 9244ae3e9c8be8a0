#include <natgrad/solvers/solver.h>

#include "support/oracles.h"

namespace natgrad::testing::solver_test {
namespace {

TEST(TerminationTest, HasTheNameOfItsEnumerator) {
  EXPECT_STREQ(to_string(Termination::Converged), "Converged");
  EXPECT_STREQ(to_string(Termination::RelativeProgress), "RelativeProgress");
  EXPECT_STREQ(to_string(Termination::IterationLimit), "IterationLimit");
  EXPECT_STREQ(to_string(Termination::NegativeCurvature), "NegativeCurvature");
  EXPECT_STREQ(to_string(Termination::Breakdown), "Breakdown");
  EXPECT_STREQ(to_string(Termination::NonFinite), "NonFinite");
}

TEST(TerminationTest, AValueOutsideTheEnumerationThrows) {
  expect_error([] { to_string(static_cast<Termination>(99)); }, "99");
}

// A summary that nobody filled in must not read as success.
TEST(SolverSummaryTest, DefaultDoesNotClaimConvergence) {
  const SolverSummary summary;
  EXPECT_NE(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.iterations, 0);
  EXPECT_EQ(summary.products, 0);
}

TEST(LinearSystemTest, InitialAndPreconditionerAreOptional) {
  const LinearSystem system{natgrad::diagonal_operator(torch::ones({2})), torch::ones({2})};
  EXPECT_FALSE(system.initial.defined());
  EXPECT_FALSE(system.preconditioner.has_value());
}

}  // namespace
}  // namespace natgrad::testing::solver_test
