#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "support/json.h"

namespace examples {

/// Two things that theory calls equal, or different.
struct Comparison {
  std::string part;  ///< of the program
  std::string of;    ///< what it is about
  std::string left, right;
  bool equal;         ///< what theory says
  double difference;  ///< relative
  double bar;         ///< at most that much if equal, at least if not

  /// Whether it came out as theory says; a difference that is not a number did not.
  bool confirmed() const { return equal ? difference <= bar : difference >= bar; }
  /// "1e-15 =", "0.3 ≠", or with an exclamation mark where it is not confirmed.
  std::string mark() const;
};

/// What a program has compared, and its verdict.
class Findings {
 public:
  /// Far above rounding: what differs does so by its nature.
  static constexpr double kDifferent = 1e-3;

  /// Adds one, and answers its mark.
  std::string must_be_equal(const std::string& part, const std::string& of, const std::string& left,
                            const std::string& right, double difference, double bar);
  std::string must_differ(const std::string& part, const std::string& of, const std::string& left,
                          const std::string& right, double difference);

  /// A line a part: how many came out as theory says, the least of the differences that must be,
  /// the largest of those that must not. Then what did not.
  void print() const;
  Json to_json() const;
  /// Throws `c10::Error` unless all came out as theory says.
  void check() const;

 private:
  std::string add(Comparison comparison);

  std::vector<Comparison> comparisons_;
};

/// ‖a - b‖ / ‖b‖, Frobenius.
double relative_difference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace examples
