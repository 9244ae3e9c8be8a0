#pragma once

// The tables of parts. Adding a solver, a damping, a damping matrix, a preconditioner or a step
// rule is adding its line here: it is then combined with all others, and has to be known by name to
// configurations.

#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/nielsen.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/damping/trust_region.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <natgrad/preconditioners/kronecker_factored.h>
#include <natgrad/preconditioners/low_rank.h>
#include <natgrad/preconditioners/propagated_diagonal.h>
#include <natgrad/solvers/approximate_inverse.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/direct.h>
#include <natgrad/solvers/dual.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/solvers/qr.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>
#include <natgrad/step_control/adaptive_rate.h>
#include <natgrad/step_control/geodesic_acceleration.h>
#include <natgrad/step_control/held_out_rate.h>
#include <natgrad/step_control/inverse_time.h>
#include <natgrad/step_control/kl_constrained.h>
#include <natgrad/step_control/line_search.h>
#include <natgrad/step_control/quadratic_model_step.h>
#include <natgrad/step_control/subspace_minimisation.h>

#include <memory>
#include <string>
#include <vector>

namespace natgrad::testing {

// λ, the divergence and the radius of the parts that are given one.
constexpr double kLambda = 0.2, kDivergence = 1e-3, kRadius = 1e3;

template <class Part>
struct Named {
  std::string name;
  std::shared_ptr<const Part> part;  // null: not given
};

template <class Part>
Named<Part> named(const Part& part) {
  return {part.describe(), part.clone()};
}

inline std::vector<Named<Solver>> solvers() {
  return {named<Solver>(ConjugateGradient().max_iterations(200).tolerance(1e-12)),
          named<Solver>(Cholesky()),
          named<Solver>(QR()),
          named<Solver>(Dual()),
          named<Solver>(Direct()),
          named<Solver>(DualOrConjugateGradient().iterative(
              ConjugateGradient().max_iterations(200).tolerance(1e-12))),
          named<Solver>(KrylovSubspace().dimension(40).floor(1e-12).tolerance(1e-10)),
          named<Solver>(
              SteihaugConjugateGradient().radius(kRadius).max_iterations(200).tolerance(1e-12)),
          named<Solver>(ApproximateInverse())};
}

inline std::vector<Named<Damping>> dampings() {
  return {named<Damping>(Tikhonov(kLambda)),
          named<Damping>(Tikhonov(0)),
          named<Damping>(Proximal()),
          named<Damping>(LevenbergMarquardt().initial(kLambda)),
          named<Damping>(Nielsen().initial(kLambda).tries(2)),
          named<Damping>(TrustRegion().initial(kRadius))};
}

inline std::vector<Named<DampingMatrix>> matrices() {
  return {{"identity", nullptr}, named<DampingMatrix>(MarquardtDiagonal())};
}

inline std::vector<Named<Preconditioner>> preconditioners() {
  return {{"none", nullptr},
          named<Preconditioner>(FisherDiagonal()),
          named<Preconditioner>(PropagatedDiagonal().exponent(1)),
          named<Preconditioner>(LowRank()),
          named<Preconditioner>(LowRank().rank(3).decay(0.9)),
          named<Preconditioner>(KroneckerFactored())};
}

inline std::vector<Named<StepRule>> rules() {
  return {named<StepRule>(HeldOutRate()),
          named<StepRule>(LearningRate()),
          named<StepRule>(GeodesicAcceleration()),
          named<StepRule>(InverseTime(1)),
          named<StepRule>(AdaptiveRate()),
          named<StepRule>(KLConstrained(kDivergence)),
          named<StepRule>(QuadraticModelStep()),
          named<StepRule>(QuadraticModelStep().whole_batch(true)),
          named<StepRule>(LineSearch()),
          named<StepRule>(SubspaceMinimisation())};
}

}  // namespace natgrad::testing
