#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <string>

namespace natgrad {

/// How `geodesic_flow` is followed.
struct NATGRAD_EXPORT GeodesicFlowOptions {
  /// T of dθ/dt = -F⁻¹∇KL(q ‖ p), 0 ≤ t ≤ T.
  TORCH_ARG(double, time) = 1;
  /// The number of Euler's steps; a second run takes twice as many.
  TORCH_ARG(int64_t, steps) = 50;

 public:
  /// Throws `c10::ValueError` for the first value that is out of range.
  void check() const;
};

/// What `geodesic_flow` found.
struct NATGRAD_EXPORT GeodesicFlowReport {
  /// Of a run's points, the largest.
  struct Deviations {
    double line = 0;  ///< the farthest distance of p from the line through p₀ and q
    double circle = 0;  ///< that of √p from the plane of √p₀ and √q, which cuts the great circle
    double solution = 0;  ///< that of p(t) from q + e^{-t}(p₀ - q)
  };
  std::string metric;  ///< as F describes itself
  torch::Tensor path;  ///< p of the finer run, [2 steps + 1, K]
  Deviations coarse;   ///< with the steps asked for
  Deviations fine;     ///< with twice as many
  Deviations orders;  ///< of the deviations in ε = T/steps: 1 where they are Euler's error, else 0
  /// Whether p follows the line at the speed p' = q - p: both deviations are Euler's, of order 0.9
  /// or more, or rounding.
  bool is_mixture_geodesic = false;
  /// Whether √p follows the great circle: only where there are two classes, or by symmetry.
  bool is_great_circle = false;

  /// The verdict and the deviations, in lines of text.
  std::string message() const;
};

/// "Smoothly following the natural gradient can be interpreted as following the geodesic path"
/// (Martens, "New perspectives", end of section 6): which geodesic? Follows the natural gradient of
/// KL(q ‖ p) by p's logits, from p₀. It is the mixture geodesic, the straight line p(t) = q +
/// e^{-t}(p₀ - q). For three classes or more the Riemannian geodesic of the Fisher metric, the
/// great circle of √p on the sphere, is another curve.
///
/// `from` and `to`: p₀ and q, [K] each, positive, summing to 1. 3 · steps solves with `metric`.
NATGRAD_EXPORT GeodesicFlowReport geodesic_flow(const torch::Tensor& from, const torch::Tensor& to,
                                                const Curvature& metric = Fisher(),
                                                const GeodesicFlowOptions& options = {});

}  // namespace natgrad
