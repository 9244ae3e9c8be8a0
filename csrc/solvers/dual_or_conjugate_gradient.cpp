#include <fmt/format.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>

#include <algorithm>

#include "linalg/norm.h"
#include "solvers/row_solve.h"

namespace natgrad {
namespace {

// A vector of [P] read and written by an operation of its own takes about 3 multiply-adds of a
// matrix product a number: an iteration has some seven of them, the dual some forty, also in
// double. An entry of the [r, r] matrix is copied, factored and read a few times in double.
constexpr double kVectorsOfIteration = 20, kVectorsOfDual = 120, kEntriesOfDual = 30;

// Of the iterations allowed, those that a warm start at the optimizer's tolerance makes on small
// batches, where the dual comes into question: 3 to 5 of 10, and some to be on the safe side.
constexpr double kIterationsMade = 0.6;
// Targets differ by orders of magnitude: one example that is far off must not make the residual of
// all others count for nothing. A tolerance of 1e-2 of ‖t‖ took one iteration then, and left all
// but that example out. So it is 1e-4, and less where one example is more than a hundred times as
// far off as all others: 1e-2 of these, down to a few roundings.
constexpr double kToleranceOfRows = 1e-4, kToleranceOfOthers = 1e-2, kLeastRoundings = 8;
constexpr int64_t kMostIterationsOfRows = 100;
constexpr double kIterationsOfRows = 15;  // made to that tolerance on convolutional nets: 12 to 16
// What the dual's solution may lack at least, relative to ‖b‖.
constexpr double kLeastTolerance = 1e-4;

double tolerance_of_others(const LeastSquares& problem) {
  return std::max(kToleranceOfOthers * share_of_others(problem),
                  kLeastRoundings * rounding_of(problem.targets.options()));
}

double gram_and_factors(const RootCosts& costs, double r) {
  return costs.gram + r * r * (r / 6 + kEntriesOfDual);
}

void check_limit(int64_t limit) {
  TORCH_CHECK(limit >= 0, "natgrad: DualOrConjugateGradient needs limit >= 0, but got ", limit,
              ".");
}

}  // namespace

DualOrConjugateGradient& DualOrConjugateGradient::iterative(ConjugateGradient solver) {
  iterative_ = std::move(solver);
  return *this;
}

bool DualOrConjugateGradient::takes_dual(const LinearOperator& matrix) const {
  if (!has_dual(matrix) || matrix.root_form()->root->rows > limit_) return false;
  const auto& root = *matrix.root_form()->root;
  const auto r = static_cast<double>(root.rows), P = static_cast<double>(matrix.size());
  const auto costs = root.estimate(matrix.size());
  const double dual = gram_and_factors(costs, r) + 2 * costs.product + kVectorsOfDual * P;
  const double iterations = kIterationsMade * static_cast<double>(iterative_.max_iterations());
  return dual <= iterations * (costs.product + kVectorsOfIteration * P);
}

Solution DualOrConjugateGradient::solve(const LinearSystem& system) const {
  check_limit(limit_);
  if (!takes_dual(system.matrix)) return iterative_.solve(system);
  const double tolerance = std::max(kLeastTolerance, iterative_.tolerance());
  auto exact = Dual().limit(limit_).tolerance(tolerance).refinements(1).solve(system);
  const auto ended = exact.summary.termination;
  if (ended == Termination::Converged) return exact;
  // Near the rounding of A the residual stays large, with x as good as it can be.
  if (ended == Termination::IterationLimit && exact.summary.quadratic < 0) return exact;
  auto iterated = iterative_.solve(system);
  const auto products = exact.summary.products + iterated.summary.products;
  // φ tells which is nearer to the solution; one that is not finite is the worse one.
  auto& better = exact.summary.quadratic <= iterated.summary.quadratic ? exact : iterated;
  better.summary.products = products;
  return better;
}

Solution DualOrConjugateGradient::solve_by_rows(const LeastSquares& problem) const {
  const torch::NoGradGuard no_grad;
  const auto& root = *problem.root;
  const auto r = static_cast<double>(root.rows);
  const auto costs = root.estimate(problem.parameters);
  if (root.rows <= limit_ && gram_and_factors(costs, r) <= kIterationsOfRows * costs.product) {
    auto solution = solve_by_gram_matrix(problem);
    if (solution.summary.termination == Termination::Converged) return solution;
  }
  auto iterative = iterative_;
  iterative.max_iterations(std::max(kMostIterationsOfRows, iterative.max_iterations()));
  iterative.tolerance(
      std::min({kToleranceOfRows, tolerance_of_others(problem), iterative.tolerance()}));
  return solve_by_row_products(problem, iterative);
}

Solution DualOrConjugateGradient::solve(const LinearOperator& matrix,
                                        const torch::Tensor& right_hand_side) const {
  return solve({matrix, right_hand_side});
}

std::string DualOrConjugateGradient::describe() const {
  return fmt::format("DualOrConjugateGradient(limit={}, iterative={})", limit_,
                     iterative_.describe());
}

std::shared_ptr<const Solver> DualOrConjugateGradient::clone() const {
  check_limit(limit_);
  iterative_.clone();  // checks its settings
  return std::make_shared<DualOrConjugateGradient>(*this);
}

}  // namespace natgrad
