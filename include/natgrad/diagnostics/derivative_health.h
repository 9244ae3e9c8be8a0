#pragma once

#include <natgrad/diagnostics/operator_health.h>
#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/tensor.h>
#include <torch/arg.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace natgrad {

class LossGraph;

/// Options of `derivative_health`.
class NATGRAD_EXPORT DerivativeHealthOptions {
 public:
  /// Makes an operator at a graph; null: the library's own, `gauss_newton` and `hessian`.
  using Matrix = std::function<LinearOperator(const LossGraph& graph)>;

  /// Of the finite differences, relative to the parameters' size; 0: the cube root of the rounding,
  /// 6e-6 in double and 5e-3 in float32.
  TORCH_ARG(double, step) = 0;
  /// Relative, beside what the differences' own rounding and curvature allow; 0: 1e-6 in double and
  /// 1e-2 in float32.
  TORCH_ARG(double, tolerance) = 0;
  /// Whether each parameter has a direction of its own, which names those at fault.
  TORCH_ARG(bool, by_parameter) = true;
  /// Of the random directions.
  TORCH_ARG(uint64_t, seed) = 0;
  /// What is held to the definition of the GGN.
  TORCH_ARG(Matrix, gauss_newton);
  /// What is held to that of the Hessian.
  TORCH_ARG(Matrix, hessian);
};

/// Whether the derivatives of a model are those of its loss, by central differences between calls
/// of the closure at θ ± εv and θ ± 2εv, v random in units of each parameter's size. Which share
/// nothing with the products that they judge:
///
///  - "loss": the closure gives the same number again. Default random generators are put back
///    before each call, so that dropout is the same; if it is not the same, nothing else is looked
///    at;
///  - "gradient": ∇h·v against the differences of h, v random with a part along ∇h; "gradient of
///    parameter i": the same along that parameter alone, which finds the wrong among many right
///    ones, and what a detach() has cut off;
///  - "Jacobian": J v against those of the outputs z, in the norm of F_R, where z has a
///    distribution;
///  - "Gauss-Newton": G v against those of J(θ + εv)ᵀ[∇_z L(z(θ + εv)) - ∇_z L(z(θ))], whose
///    derivative in ε is Jᵀ H_L J v, by first derivatives alone;
///  - "Hessian": H v against those of ∇h.
///
/// Each has a figure, a tolerance, which allows for rounding, third derivatives (ε against 2ε) and
/// kinks (second differences), and a verdict. Where that allowance exceeds a third of what is
/// measured, as in float32 next to a minimum, nothing is concluded. An op at fault is looked for
/// where a check fails: of wrong second derivatives each op's backward is tested by itself; of
/// wrong first ones, ops of the user's own (torch::autograd::Function) below which all wrong
/// parameters lie and, if possible, no right one.
///
/// ```cpp
/// const auto health = natgrad::derivative_health(
///     model->parameters(), [&] { return F::cross_entropy(model->forward(x), y); });
/// const auto verdict = health.message();
/// ```
///
/// Cost: six calls of the closure without a graph and five with one, of two backward passes each;
/// with `by_parameter` four more calls for each parameter; twelve where it fails. The parameters'
/// data is exchanged meanwhile and comes back to the very memory, `.grad` is left alone; buffers,
/// such as running statistics, move as with any call. Throws `c10::Error` if the closure's loss is
/// no real scalar with a graph, and `c10::ValueError` for options out of range.
NATGRAD_EXPORT Health derivative_health(std::vector<torch::Tensor> parameters,
                                        const std::function<torch::Tensor()>& loss,
                                        const DerivativeHealthOptions& options = {});

}  // namespace natgrad
