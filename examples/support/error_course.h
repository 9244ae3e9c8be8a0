#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace examples {

/// A method's way, record by record; the first is the start.
struct ErrorCurve {
  std::string method;
  std::vector<double> steps, seconds, loss, error;

  /// The error when so many seconds had passed.
  double error_after(double limit) const;
};

/// Takes a method's steps, timed, until a limit, and records where they lead: after 1, 2, 3, ...
/// steps, then at a tenth more each time.
class ErrorCourse {
 public:
  /// Loss and error where the method stands.
  using Look = std::function<std::pair<double, double>()>;

  ErrorCourse(std::string method, Look look);

  /// Until so many seconds of steps have passed, or so many steps are taken, or the program is
  /// interrupted; prints its records if it is to.
  void run(const std::function<void()>& step, double seconds, int64_t most_steps, bool prints);
  /// The curve up to here.
  ErrorCurve finish();
  int64_t steps() const { return steps_; }

  /// Steps and seconds, and the curve's numbers, for a checkpoint; and back.
  torch::Tensor place() const;
  torch::Tensor rows() const;
  void go_to(const torch::Tensor& place, const torch::Tensor& rows);

 private:
  void record();
  void print() const;

  Look look_;
  ErrorCurve curve_;
  int64_t steps_ = 0;
  double seconds_ = 0;
};

}  // namespace examples
