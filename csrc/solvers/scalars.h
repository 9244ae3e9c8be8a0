#pragma once

#include "detail.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad::detail {

/// A status code is a number, so that it can live on the device; zero means that nothing has
/// stopped.
constexpr int kRunning = 0;

/// The scalars of an iterative solver as doubles, read from the tensors as they come.
///
/// `HostScalars` and `DeviceScalars` have one interface, so that a recurrence is written once, with
/// ordinary operators on `Scalar`. After the first `stop_if` that holds, `axpy` moves nothing:
/// whatever the recurrence goes on to compute, the iterate stays the last sound one.
class HostScalars {
 public:
  using Scalar = double;

  static double dot(const torch::Tensor& a, const torch::Tensor& b) {
    return a.dot(b).item<double>();
  }
  static double value(double scalar) { return scalar; }
  static double root(double scalar) { return std::sqrt(scalar); }
  static double largest(double a, double b) { return std::max(a, b); }
  static bool not_finite(double scalar) { return !std::isfinite(scalar); }

  int status() const { return status_; }
  void resume() { status_ = kRunning; }
  void stop_if(bool condition, int status) {
    if (status_ == kRunning && condition) status_ = status;
  }
  double while_running(double scalar, double otherwise) const {
    return status_ == kRunning ? scalar : otherwise;
  }
  double zero_once_stopped(double scalar) const { return while_running(scalar, 0); }

  void count() { iterations_ += status_ == kRunning; }
  int64_t iterations() const { return iterations_; }

  /// y += a x
  static void axpy(const torch::Tensor& y, double a, const torch::Tensor& x) { y.add_(x, a); }
  /// y ← x + b y
  void xpby(torch::Tensor& y, const torch::Tensor& x, double b) const {
    if (status_ == kRunning) torch::add_out(y, x, y, b);
  }

 private:
  int status_ = kRunning;
  int64_t iterations_ = 0;
};

/// The same as 0-d float64 tensors on the device; only `status` and `value` wait for it.
class DeviceScalars {
 public:
  using Scalar = torch::Tensor;

  explicit DeviceScalars(const torch::Device& device)
      : running_(torch::full({}, kRunning, torch::dtype(torch::kInt).device(device))),
        status_(running_),
        iterations_(torch::zeros({}, torch::dtype(torch::kLong).device(device))) {}

  static Scalar dot(const torch::Tensor& a, const torch::Tensor& b) {
    return a.dot(b).to(torch::kDouble);
  }
  static double value(const Scalar& scalar) { return scalar.item<double>(); }
  static Scalar root(const Scalar& scalar) { return scalar.sqrt(); }
  static Scalar largest(const Scalar& a, const Scalar& b) { return torch::maximum(a, b); }
  static torch::Tensor not_finite(const Scalar& scalar) { return scalar.isfinite().logical_not(); }

  int status() const { return status_.item<int>(); }
  void resume() { status_ = running_; }
  void stop_if(const torch::Tensor& condition, int status) {
    status_ = torch::where(condition.logical_and(is_running()), torch::full_like(status_, status),
                           status_);
  }
  Scalar while_running(const Scalar& scalar, const Scalar& otherwise) const {
    return torch::where(is_running(), scalar, otherwise);
  }
  Scalar zero_once_stopped(const Scalar& scalar) const {
    return scalar.masked_fill(is_running().logical_not(), 0);
  }

  void count() { iterations_.add_(is_running()); }
  int64_t iterations() const { return iterations_.item<int64_t>(); }

  static void axpy(const torch::Tensor& y, const Scalar& a, const torch::Tensor& x) {
    y.addcmul_(x, a);
  }
  /// Zero once stopped: a direction that is not finite would otherwise reach y in `axpy` as 0·NaN.
  void xpby(torch::Tensor& y, const torch::Tensor& x, const Scalar& b) const {
    torch::addcmul_out(y, x, y, b.to(y.scalar_type()));
    y.masked_fill_(is_running().logical_not(), 0);
  }

 private:
  torch::Tensor is_running() const { return status_ == kRunning; }

  torch::Tensor running_, status_, iterations_;
};

}  // namespace natgrad::detail
