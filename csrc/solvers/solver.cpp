#include <c10/util/Exception.h>
#include <natgrad/solvers/solver.h>

namespace natgrad {

Solution Solver::solve_by_rows(const LeastSquares&) const {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "natgrad: ", describe(),
                              " solves no least squares by their rows. Give it the system, or use "
                              "natgrad::Dual().");
}

const char* to_string(Termination termination) {
  switch (termination) {
    case Termination::Converged:
      return "Converged";
    case Termination::RelativeProgress:
      return "RelativeProgress";
    case Termination::IterationLimit:
      return "IterationLimit";
    case Termination::Boundary:
      return "Boundary";
    case Termination::NegativeCurvature:
      return "NegativeCurvature";
    case Termination::Breakdown:
      return "Breakdown";
    case Termination::NonFinite:
      return "NonFinite";
  }
  TORCH_CHECK(false, "natgrad: not a Termination: ", static_cast<int>(termination));
}

}  // namespace natgrad
