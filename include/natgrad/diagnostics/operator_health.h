#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <torch/arg.h>

#include <cstdint>
#include <string>
#include <vector>

namespace natgrad {

class LossGraph;

/// One thing that was looked at.
struct NATGRAD_EXPORT HealthCheck {
  std::string name;      ///< "symmetric", say
  double value = 0;      ///< a relative error; 0 is perfect
  double tolerance = 0;  ///< what it may be
  bool holds = true;     ///< also where nothing could be concluded
  /// Whether the figure says anything: not, where rounding or kinks hide what was looked for.
  bool is_conclusive = true;
  std::string says = {};  ///< in words: what it means, what to do
  std::string op = {};    ///< the op at fault, or the ones it can be, where that is known
};

/// What `operator_health` or `derivative_health` found.
struct NATGRAD_EXPORT Health {
  std::string of;                        ///< what was looked at
  std::vector<HealthCheck> checks = {};  ///< in order
  bool holds = true;                     ///< all of them

  /// By name; throws `c10::ValueError`, with the names there are.
  const HealthCheck& check(const std::string& name) const;
  /// Whether there is a check of this name.
  bool has(const std::string& name) const;
  /// The verdict, and a line a check.
  std::string message() const;
};

/// Options of `operator_health`.
class NATGRAD_EXPORT OperatorHealthOptions {
 public:
  /// Random v, ≥ 2.
  TORCH_ARG(int64_t, probes) = 3;
  /// Lanczos steps for the smallest eigenvalue; 0: none.
  TORCH_ARG(int64_t, lanczos_steps) = 10;
  /// Whether A is meant to be positive semi-definite. A Hessian is not: its figures are then told,
  /// and not judged.
  TORCH_ARG(bool, semidefinite) = true;
  /// Relative; 0: the rounding of a pass through a network, 1e-9 in double and 1e-3 in float32.
  TORCH_ARG(double, tolerance) = 0;
  /// Of the random directions.
  TORCH_ARG(uint64_t, seed) = 0;
};

/// Whether A is what solvers take it for, by products with random u and v. The checks, with their
/// figures:
///
///  - "products": they have the right shape and are finite;
///  - "deterministic": ‖Av - (Av)'‖/‖Av‖ of two calls, and whether these are the same bits;
///  - "linear": ‖A(2u - v/2) - 2Au + Av/2‖/(2‖Au‖ + ‖Av‖/2);
///  - "symmetric": |u·Av - v·Au|/(‖u‖‖Av‖ + ‖v‖‖Au‖), A being its own adjoint;
///  - "semidefinite": the most negative vᵀAv/(‖v‖‖Av‖);
///  - "smallest Ritz value": that of a few Lanczos steps over the largest in magnitude, negated. It
///    lies above the smallest eigenvalue: a negative one is proof, a positive one is not;
///  - "block of columns", "inner products": A[u v] and VᵀAV against products one by one;
///  - "root", "inverse": scale·RᵀR v + shift·v against A v, and (A + λI)(A + λI)⁻¹v against v, λ
///    of A's size, where A knows them.
///
/// Cost: about probes + 6 products, and twice lanczos_steps + 1. Throws `c10::ValueError` for
/// options out of range. What A throws is a check that fails, but for a lack of memory.
NATGRAD_EXPORT Health operator_health(const LinearOperator& A,
                                      const OperatorHealthOptions& options = {});

/// The same of a curvature at a graph, in the lowest precision of the network, naming the op of the
/// graph whose backward is not differentiable if a check fails; and
///
///  - "noise": that the estimate of the gradient's noise is finite and not negative;
///  - "targets": ‖∇h + Rᵀt‖/‖∇h‖, where its rows tell the gradient.
NATGRAD_EXPORT Health operator_health(const LossGraph& graph, const Curvature& curvature,
                                      const OperatorHealthOptions& options = {});

}  // namespace natgrad
