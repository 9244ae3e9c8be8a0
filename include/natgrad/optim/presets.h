#pragma once

#include <natgrad/export.h>
#include <natgrad/optim/options.h>

#include <limits>

/// Sets of options that belong together, each a published method; constants are the source's unless
/// said otherwise. They are values like any options: change what should differ.
///
/// ```cpp
/// natgrad::NaturalGradient optimizer(model->parameters(), natgrad::presets::hessian_free());
/// optimizer.step([&] { return F::cross_entropy(model->forward(x), y); });
/// ```
namespace natgrad::presets {

/// Natural gradient descent itself (Amari 1998; Martens, eq. 6),
///
///     θ ← θ - ε F⁻¹∇h,
///
/// by a tight solve with no damping, ε = `lr`; where F is singular, the shortest solution. For
/// small problems and for comparisons. ε = 1 is exact for models that are linear in their
/// parameters. `step(loss)` will do.
NATGRAD_EXPORT NaturalGradientOptions natural_gradient(double lr = 1);

/// Hessian-free optimization (Martens 2010; Martens & Sutskever 2012): conjugate gradients on the
/// Gauss-Newton matrix, stopped by their relative progress (5e-4) and started at 0.95 of the last
/// solution, preconditioned by (diag of the empirical Fisher + λ)^-0.75; backtracking through
/// iterates kept at a growth of 1.3; a line search by Armijo's rule; λ by Levenberg and Marquardt's
/// rule, from `lambda`, with hindsight: a step that has raised the loss of the next batch raises λ,
/// and by much, is taken back.
///
/// Best on whole batches or large ones, the same for gradient, curvature and trial losses;
/// `step(Batches)` takes smaller ones for the curvature. Needs a closure.
NATGRAD_EXPORT NaturalGradientOptions hessian_free(double lambda = 1);

/// Krylov subspace descent (Vinyals & Povey 2012): the loss itself is minimised by BFGS over the
/// subspace of 20 products of the Gauss-Newton matrix and the last step, with eigenvalues floored
/// at 1e-4 of the largest. Best with a batch of its own for the trial losses, `step(Batches)`.
/// Needs a closure.
NATGRAD_EXPORT NaturalGradientOptions krylov_subspace_descent(int64_t dimension = 20);

/// K-FAC (Martens & Grosse 2015): the inverse of Kronecker factors gives the direction, the exact
/// quadratic model the learning rate and momentum, and ρ of every fifth step λ, from `lambda` down
/// to no less than 3e-4, with weight decay 1e-5 as in the source. The quadratic model is of all
/// examples of the gradient, and a step's length is fitted to their loss, so that no step raises
/// it. λ falls faster than there, 0.75 a step instead of 0.95, for what that gains on a deep
/// autoencoder (`benchmarks/deep_autoencoder`).
///
/// Best with a part of the batch for the curvature, from which the factors are then taken:
/// `step(Batches{batch, its first eighth})`; or `step(8, closure)`, where it is the first chunk.
/// The source takes the model from a part too, `.step_rule(QuadraticModelStep())`: cheaper, and
/// without bound where the part says too little (embeddings, few outputs, small batches). Batches
/// of some hundreds. Needs a closure.
NATGRAD_EXPORT NaturalGradientOptions kfac(double lambda = 20);

/// Nonlinear least squares: for regressions, physics-informed losses and whatever else has its
/// residuals in numbers that one matrix can hold, to the last digits. Levenberg and Marquardt's
/// method (`Nielsen`, with Moré's D) on the Jacobian of the residuals itself (`FisherRows`),
/// solved by orthogonal factors (`QR`), with geodesic acceleration (`GeodesicAcceleration`).
///
/// On the same data at each step, in double; needs a closure. Other likelihoods than squared errors
/// are fitted alike, by their Fisher matrix (a generalized linear model by Fisher scoring).
NATGRAD_EXPORT NaturalGradientOptions least_squares();

/// Stochastic reconfiguration (Sorella 1998) for variational Monte Carlo,
///
///     (S + λI) δ = -∇E,   θ ← θ + α δ,
///
/// with S the covariance of the log-amplitude's derivatives over the samples (`CentredRows`, where
/// an objective with this gradient is written out), λ = `shift`, α = `lr`. Real parameters; those
/// of a complex ψ are given as real and imaginary parts. `step(loss)` will do.
NATGRAD_EXPORT NaturalGradientOptions stochastic_reconfiguration(double lr = 0.05,
                                                                 double shift = 0.01);

/// SPRING (Goldshlager, Abrahamsen & Lin 2024): the same, centred on the step before,
///
///     (S + λI) δ = -∇E + λ μ δ_prev,
///
/// so that directions which these samples leave open keep what earlier ones told, μ = `momentum`.
/// With a finite `memory_doubling` T that memory grows and steps shrink as `Proximal` has it, by
/// which the samples' noise is averaged away.
NATGRAD_EXPORT NaturalGradientOptions
spring(double lr = 0.05, double shift = 0.01, double momentum = 0.95,
       double memory_doubling = std::numeric_limits<double>::infinity());

}  // namespace natgrad::presets
