#pragma once

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

/// Problems of known solutions: NIST's nonlinear regressions and others.
namespace certified {

using torch::Tensor;

/// A least-squares problem, min ‖f(b) - y‖² over b of [P], in double, with what is known of it.
struct Regression {
  std::string name;
  std::vector<Tensor> starts;  ///< each [P]
  std::function<Tensor(const Tensor& b)> residuals;
  Tensor parameters;          ///< b at the minimum, [P]; undefined if only the sum is known
  Tensor standard_errors;     ///< [P], or undefined
  double sum_of_squares = 0;  ///< at the minimum
};

/// The 27 problems of NIST's Statistical Reference Datasets (nonlinear regression), from both
/// starts each, read from NIST's own files in `folder`; certified to 11 digits.
std::vector<Regression> nist_regressions(const std::string& folder);

/// Numbers of correct decimal digits, of the worst parameter: -log10 of the relative error, at
/// most 11, at least 0.
double correct_digits(const Tensor& found, const Tensor& certified);

}  // namespace certified
