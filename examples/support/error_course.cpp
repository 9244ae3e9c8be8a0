#include "support/error_course.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "support/interruption.h"

namespace examples {

using torch::Tensor;

namespace {

constexpr double kRecordGrowth = 1.1;

}  // namespace

double ErrorCurve::error_after(double limit) const {
  const auto later = std::upper_bound(seconds.begin(), seconds.end(), limit);
  return error[static_cast<size_t>(std::max<int64_t>(later - seconds.begin() - 1, 0))];
}

ErrorCourse::ErrorCourse(std::string method, Look look) : look_(std::move(look)) {
  curve_.method = std::move(method);
  record();
}

void ErrorCourse::run(const std::function<void()>& step, double seconds, int64_t most_steps,
                      bool prints) {
  while (seconds_ < seconds && steps_ < most_steps && !is_interrupted()) {
    const auto start = std::chrono::steady_clock::now();
    step();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    seconds_ += taken.count();
    ++steps_;
    if (static_cast<double>(steps_) < kRecordGrowth * curve_.steps.back()) continue;
    record();
    if (prints) print();
  }
}

ErrorCurve ErrorCourse::finish() {
  if (static_cast<double>(steps_) > curve_.steps.back()) record();
  return curve_;
}

Tensor ErrorCourse::rows() const {
  const auto row = [](const std::vector<double>& v) { return torch::tensor(v, torch::kDouble); };
  return torch::stack(
      {row(curve_.steps), row(curve_.seconds), row(curve_.loss), row(curve_.error)});
}

Tensor ErrorCourse::place() const {
  return torch::tensor({static_cast<double>(steps_), seconds_}, torch::kDouble);
}

void ErrorCourse::go_to(const Tensor& place, const Tensor& rows) {
  steps_ = static_cast<int64_t>(place[0].item<double>());
  seconds_ = place[1].item<double>();
  const auto numbers = [&](int64_t k) {
    const auto* begin = rows[k].data_ptr<double>();
    return std::vector<double>(begin, begin + rows.size(1));
  };
  curve_ = {curve_.method, numbers(0), numbers(1), numbers(2), numbers(3)};
}

void ErrorCourse::record() {
  const auto [loss, error] = look_();
  curve_.steps.push_back(static_cast<double>(steps_));
  curve_.seconds.push_back(seconds_);
  curve_.loss.push_back(loss);
  curve_.error.push_back(error);
}

void ErrorCourse::print() const {
  fmt::print("step {:5}  loss {:<9.3g} error {:<9.3g} {:7.2f} s\n", steps_, curve_.loss.back(),
             curve_.error.back(), seconds_);
  std::fflush(stdout);
}

}  // namespace examples
