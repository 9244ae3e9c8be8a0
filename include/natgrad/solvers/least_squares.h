#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

#include <memory>

namespace natgrad {

/// A damped least-squares problem, min ½‖t - R x‖² + ½σ‖d∘(x - x₀)‖², known by its rows. With d = 1
/// its solution needs a system of as many unknowns as there are rows, and no division by σ:
///
///     x = x₀ + Rᵀu,  (RRᵀ + σI) u = t - R x₀,  R x = R x₀ + RRᵀu.
///
/// It is that of (RᵀR + σI) x = Rᵀt + σx₀: with ∇h = -Rᵀt, the damped step centred on x₀.
struct NATGRAD_EXPORT LeastSquares {
  std::shared_ptr<const Root> root;   ///< R, [r, P]
  int64_t parameters;                 ///< P
  torch::Tensor targets;              ///< t, [r]
  double shift;                       ///< σ > 0
  torch::Tensor centre = {};          ///< x₀, [P]; undefined: 0
  torch::Tensor centre_product = {};  ///< R x₀, [r]; defined if `centre` is
  torch::Tensor scales = {};          ///< d > 0, [P]; undefined: 1
};

}  // namespace natgrad
