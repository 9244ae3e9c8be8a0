#pragma once

/// @file
/// The optimizer, its options and the parts that they name, and the families of distributions.
/// Further curvatures are in <natgrad/curvatures.h>, what they are made of in
/// <natgrad/operators.h>, variational inference in <natgrad/variational.h>, optimizers by name in
/// <natgrad/configuration.h>, checks of the theory in <natgrad/diagnostics.h>.

/// @namespace natgrad
/// All of the library. What is in `natgrad::detail`, or in no header, may change at any time.

#include <natgrad/curvature/centred_rows.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/damping/damping.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/nielsen.h>
#include <natgrad/damping/proximal.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/damping/trust_region.h>
#include <natgrad/graph/hidden_states.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods.h>
#include <natgrad/optim/batch.h>
#include <natgrad/optim/checkpoint.h>
#include <natgrad/optim/minimise.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/options.h>
#include <natgrad/optim/presets.h>
#include <natgrad/optim/sparse_initialisation.h>
#include <natgrad/optim/step_summary.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <natgrad/preconditioners/kronecker_factored.h>
#include <natgrad/preconditioners/kronecker_factors.h>
#include <natgrad/preconditioners/low_rank.h>
#include <natgrad/preconditioners/preconditioner.h>
#include <natgrad/preconditioners/propagated_diagonal.h>
#include <natgrad/solvers/approximate_inverse.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <natgrad/solvers/direct.h>
#include <natgrad/solvers/dual.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>
#include <natgrad/solvers/kl_constrained_step.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/solvers/least_squares.h>
#include <natgrad/solvers/qr.h>
#include <natgrad/solvers/solver.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>
#include <natgrad/step_control/adaptive_rate.h>
#include <natgrad/step_control/geodesic_acceleration.h>
#include <natgrad/step_control/held_out_rate.h>
#include <natgrad/step_control/inverse_time.h>
#include <natgrad/step_control/kl_constrained.h>
#include <natgrad/step_control/learning_rate.h>
#include <natgrad/step_control/line_search.h>
#include <natgrad/step_control/quadratic_model.h>
#include <natgrad/step_control/quadratic_model_step.h>
#include <natgrad/step_control/step_rule.h>
#include <natgrad/step_control/subspace_minimisation.h>
#include <natgrad/step_control/trial_losses.h>
#include <natgrad/version.h>
