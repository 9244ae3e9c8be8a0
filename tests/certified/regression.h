#pragma once

#include <natgrad/optim/minimise.h>
#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

/// Problems of known solutions: NIST's regressions, and those of Moré, Garbow and Hillstrom.
namespace certified {

using torch::Tensor;

/// A least-squares problem, min ‖r(b)‖² over b of [P], in double, with what is known of it.
struct Regression {
  std::string name;
  std::vector<Tensor> starts;  ///< each [P]
  std::function<Tensor(const Tensor& b)> residuals;
  Tensor parameters = {};       ///< b at the minimum, [P]; undefined if only the sum is known
  Tensor standard_errors = {};  ///< [P], or undefined
  /// ‖r‖² at the minimum, and at minima that are no more than local.
  double sum_of_squares = 0;
  std::vector<double> local_sums = {};
};

/// The 27 problems of NIST's Statistical Reference Datasets (nonlinear regression), from both
/// starts each, read from NIST's own files (tests/certified/nist); certified to 11 digits.
std::vector<Regression> nist_regressions();

/// Wampler's five polynomials of degree 5 in x = 0, ..., 20 (NIST's Statistical Reference Datasets,
/// linear regression), whose coefficients are exactly 1, or 10^-i.
std::vector<Regression> wampler_polynomials();

/// Problems of "Testing unconstrained optimization software" (Moré, Garbow & Hillstrom 1981), from
/// the start given there and, where that is far from the minimum and finite, from ten times it.
std::vector<Regression> more_garbow_hillstrom();

/// A network of 3-8-1, tanh, 41 parameters, on 200 values of another one like it, from ten starts.
/// What is random comes from the generator of the C standard's example, so that
/// benchmarks/support/scipy_certified.py has the same numbers.
Regression teacher_network(int64_t seed);

/// Numbers of correct decimal digits, of the worst parameter: -log10 of the relative error, at
/// most 11, at least 0.
double correct_digits(const Tensor& found, const Tensor& certified);

/// How `presets::least_squares()` and `minimise` end from one start.
struct Fit {
  Tensor parameters;
  natgrad::Minimum minimum;
  double sum_of_squares = 0, seconds = 0;
};

Fit fit(const Regression& regression, const Tensor& start, int64_t max_steps = 1000);

/// Whether the sum of squares is the minimum's, or a local one's, to six digits; where that is
/// zero, no more than 1e-20.
bool has_known_sum(const Regression& regression, double sum_of_squares);

}  // namespace certified
