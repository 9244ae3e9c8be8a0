#pragma once

// What the library's answers are held to: explicit matrices, row by row from plain autograd. Slow,
// simple, and without a line of the library.

#include <torch/types.h>

#include <vector>

#include "support/derivatives.h"

namespace examples::theory {

/// All elements of all tensors, in one vector.
torch::Tensor flat(const std::vector<torch::Tensor>& tensors);

/// ‖actual - expected‖/‖expected‖; ‖actual‖ if expected is zero.
double relative_error(const torch::Tensor& actual, const torch::Tensor& expected);

/// Eigenvalues of a symmetric matrix, ascending.
torch::Tensor eigenvalues(const torch::Tensor& symmetric);
double smallest_eigenvalue(const torch::Tensor& symmetric);
/// How many are larger than 1e-10 of the largest in size.
int64_t rank_of(const torch::Tensor& symmetric);

/// a·b/(‖a‖‖b‖).
double cosine(const torch::Tensor& a, const torch::Tensor& b);

/// diag(p) - p pᵀ for each row of p, [N, K, K]: what a product with softmax's F_R is.
torch::Tensor softmax_metric(const torch::Tensor& p);

/// log(a/b)/log 2: the order of an error that went from a to b as a step was halved.
double order(double a, double b);

/// The slope of log y by log x, by least squares.
double slope(const std::vector<double>& x, const std::vector<double>& y);

double number(const torch::Tensor& t);
double mean(const std::vector<double>& values);
double median(std::vector<double> values);

}  // namespace examples::theory
