#include <natgrad/curvature/centred_rows.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/nielsen.h>
#include <natgrad/damping/proximal.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/optim/presets.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <natgrad/preconditioners/kronecker_factored.h>
#include <natgrad/solvers/approximate_inverse.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/solvers/qr.h>
#include <natgrad/step_control/geodesic_acceleration.h>
#include <natgrad/step_control/line_search.h>
#include <natgrad/step_control/quadratic_model_step.h>
#include <natgrad/step_control/subspace_minimisation.h>

#include <cmath>

namespace natgrad::presets {

NaturalGradientOptions natural_gradient(double lr) {
  return NaturalGradientOptions(lr)
      .curvature(Fisher())
      .solver(ConjugateGradient().max_iterations(1000).tolerance(1e-10))
      .damping(Tikhonov(0));
}

NaturalGradientOptions hessian_free(double lambda) {
  return NaturalGradientOptions(1)
      .curvature(GaussNewton())
      .solver(ConjugateGradient()
                  .max_iterations(250)
                  .tolerance(0)
                  .relative_progress(5e-4)
                  .snapshot_growth(1.3))
      .warm_start(0.95)
      .damping(LevenbergMarquardt().initial(lambda).hindsight(true))
      .preconditioner(FisherDiagonal())
      .step_rule(LineSearch());
}

NaturalGradientOptions krylov_subspace_descent(int64_t dimension) {
  return NaturalGradientOptions(1)
      .curvature(GaussNewton())
      .solver(KrylovSubspace().dimension(dimension))
      .warm_start(1)
      .damping(Tikhonov(0))
      .step_rule(SubspaceMinimisation());
}

NaturalGradientOptions kfac(double lambda) {
  constexpr int64_t kInterval = 5;
  const double factor = std::pow(0.75, kInterval);
  return NaturalGradientOptions(1)
      .weight_decay(1e-5)
      .curvature(FisherOrGaussNewton())
      .curvature_chunks(1)
      .solver(ApproximateInverse())
      .damping(LevenbergMarquardt()
                   .initial(lambda)
                   .lower(factor)
                   .raise(1 / factor)
                   .interval(kInterval)
                   .least(3e-4))
      .preconditioner(KroneckerFactored().factor_interval(3).inverse_interval(20))
      .step_rule(QuadraticModelStep().whole_batch(true).fitted(true));
}

NaturalGradientOptions least_squares() {
  return NaturalGradientOptions(1.)
      .curvature(FisherRows())
      .solver(QR())
      .damping(Nielsen())
      .step_rule(GeodesicAcceleration());
}

NaturalGradientOptions stochastic_reconfiguration(double lr, double shift) {
  return NaturalGradientOptions(lr)
      .curvature(CentredRows())
      .solver(Cholesky())
      .damping(Tikhonov(shift));
}

NaturalGradientOptions spring(double lr, double shift, double momentum, double memory_doubling) {
  return stochastic_reconfiguration(lr, shift).damping(
      Proximal().fixed_lambda(shift).momentum(momentum).memory_doubling(memory_doubling));
}

}  // namespace natgrad::presets
