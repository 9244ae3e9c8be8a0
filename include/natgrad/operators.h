#pragma once

/// @file
/// What curvatures are made of, for use without the optimizer: losses read off their graph, linear
/// operators and estimates of what they hold.

#include <natgrad/curvature/diagonals.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/per_example_gradients.h>
#include <natgrad/linalg/hutchinson.h>
#include <natgrad/linalg/lanczos.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/linalg/low_rank.h>
#include <natgrad/linalg/parameters.h>
#include <natgrad/linalg/random.h>
