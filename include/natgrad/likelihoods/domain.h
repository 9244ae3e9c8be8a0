#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <limits>
#include <string>
#include <vector>

namespace natgrad {

/// Where the targets of an `ExpLoss` lie: a set of labels, or an interval of real numbers, which
/// may be all of them.
///
/// `kinks` are the values of y - z at which the loss or its slope jumps, or near which it changes
/// most; quadrature goes piecewise between them. {0} suits a loss of y - z, {-δ, 0, δ} Huber's.
struct NATGRAD_EXPORT Domain {
  /// Of an interval without an end.
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  /// All real numbers.
  static Domain real_line(std::vector<double> kinks = {0});
  /// lower <= y <= upper; either may be infinite. Throws unless lower < upper.
  static Domain interval(double lower, double upper, std::vector<double> kinks = {0});
  /// These values and no others. Throws unless they are finite, and at least two of them differ.
  static Domain values(std::vector<double> labels);

  /// Where y lies in it: bool, y's shape.
  torch::Tensor contains(const torch::Tensor& y) const;
  /// For messages.
  std::string describe() const;

  double lower = -kInfinity;        ///< of an interval
  double upper = kInfinity;         ///< of an interval
  std::vector<double> kinks = {0};  ///< of y - z, ascending
  std::vector<double> labels;       ///< ascending; empty for an interval
};

}  // namespace natgrad
