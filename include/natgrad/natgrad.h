#pragma once

/// Everything of natgrad: `natgrad::NaturalGradient` and the pieces it is made of.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/damping/proximal.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/linalg/parameters.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/solvers/conjugate_gradients.h>
