#pragma once

#include "detail.h"

#include <natgrad/diagnostics/invariance.h>

#include "diagnostics/chart.h"
#include "diagnostics/output_distance.h"

namespace natgrad::detail {

/// Where a path is: θ, and the distributions there. Of no θ: nowhere.
struct Place {
  torch::Tensor theta;
  Distributions distributions;

  /// NaN if one of the two is nowhere.
  double parameters_from(const Place& other) const;
  /// By distributions where they are known.
  double distance_from(const Place& other) const;
};

/// dγ/dt = -C⁻¹∇h in one system of parameters.
class Flow {
 public:
  /// From the model's θ. All arguments have to outlive it.
  Flow(LossOfParameters& h, const Reparametrisation* g, const InvarianceOptions& options);

  const Place& start() const { return start_; }
  /// γ there, and ∇_γh and C_γ.
  const torch::Tensor& gamma() const { return first_; }
  const torch::Tensor& gradient() const { return gradient_; }
  const torch::Tensor& C() const { return C_; }
  /// Where the path is now.
  torch::Tensor loss() { return chart_.loss(); }

  /// Where Euler's steps lead; nowhere if they leave the numbers, or the outputs their domain.
  Place after(double time, int64_t steps);
  /// Whether the coarsest steps end near where the next finer ones do.
  bool is_followed(double time);

 private:
  bool move(double epsilon);

  Chart chart_;
  const InvarianceOptions& options_;
  torch::Tensor first_, gradient_, C_;
  Place start_;
};

}  // namespace natgrad::detail
