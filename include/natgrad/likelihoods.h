#pragma once

/// @file
/// The families of output distributions.

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/domain.h>
#include <natgrad/likelihoods/exp_loss.h>
#include <natgrad/likelihoods/exp_loss_over_labels.h>
#include <natgrad/likelihoods/exponential.h>
#include <natgrad/likelihoods/exponential_family.h>
#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/independent_product.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/location.h>
#include <natgrad/likelihoods/log_gamma.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/multinomial.h>
#include <natgrad/likelihoods/natural_full_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/natural_negative_binomial.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/likelihoods/noise_density.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/likelihoods/residual_spread.h>
#include <natgrad/likelihoods/student_t.h>
