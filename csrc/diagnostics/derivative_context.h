#pragma once

#include <natgrad/diagnostics/derivative_health.h>
#include <natgrad/graph/loss_graph.h>

#include "detail.h"
#include "diagnostics/moved_loss.h"

namespace natgrad::detail {

/// What the checks of derivatives share.
struct DerivativeContext {
  DerivativeContext(MovedLoss& loss, const DerivativeHealthOptions& options);

  const ParameterLayout& parameters() const { return graph.parameters(); }
  /// s∘(n + 3w) with s the parameters' sizes, n random, of a stream of its own, and w of length 1
  /// along ∇h: what is looked for along it is then not small by accident. Zero where `part` is.
  torch::Tensor direction(const torch::Tensor& part, uint64_t stream) const;

  MovedLoss& loss;
  const DerivativeHealthOptions& options;
  LossGraph graph;  ///< at θ
  double h;         ///< h(θ)
  double rounding, step, tolerance;
  torch::Tensor v;  ///< `direction` of all parameters
};

/// The gradient along `v`, and along each parameter by itself.
void check_gradients(const DerivativeContext& context, Health& health);
/// J v, G v, H v.
void check_products(const DerivativeContext& context, Health& health);

}  // namespace natgrad::detail
