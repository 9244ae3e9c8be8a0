#pragma once

/// @file
/// The curvature matrices, as options of the optimizer and as operators on a `LossGraph`.

#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/block_diagonal.h>
#include <natgrad/curvature/blocks.h>
#include <natgrad/curvature/centred_rows.h>
#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/damping_matrix.h>
#include <natgrad/curvature/diagonals.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/curvature/output_noise.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/curvature/structural_damping.h>
#include <natgrad/curvature/tanh_unit.h>
#include <natgrad/curvature/tonga.h>
