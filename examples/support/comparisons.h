#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

namespace examples {

/// Two matrices that theory calls equal, or different.
struct Comparison {
  std::string outputs;  ///< what the network's outputs mean
  std::string left, right;
  bool equal;         ///< what theory says
  double difference;  ///< ‖left - right‖ / ‖right‖, Frobenius

  /// Whether it came out as theory says; a difference that is not a number did not.
  bool confirmed() const;
  /// "OK", "DIFFERS, as it must", or what is wrong.
  std::string verdict() const;
};

/// A matrix to draw, and its caption.
struct Picture {
  std::string title;
  torch::Tensor matrix;
};

/// ‖a - b‖ / ‖b‖, Frobenius.
double relative_difference(const torch::Tensor& a, const torch::Tensor& b);

/// The equalities, then the inequalities, a line each.
void print_comparisons(const std::vector<Comparison>& comparisons);

/// Writes what plot_matrices.py reads. Throws `c10::Error` if `path` cannot be written.
void write_findings(const std::string& path, const std::string& title,
                    const std::vector<Picture>& pictures,
                    const std::vector<Comparison>& comparisons);

}  // namespace examples
