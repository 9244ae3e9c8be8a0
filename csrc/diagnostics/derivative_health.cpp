#include <fmt/format.h>
#include <natgrad/diagnostics/derivative_health.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <cmath>
#include <utility>

#include "diagnostics/derivative_context.h"
#include "diagnostics/health_checks.h"
#include "graph/loss_graph_state.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

// Beside the differences' own error, about 1e-9 in double and 1e-3 in float32.
constexpr double kToleranceDouble = 1e-6, kToleranceFloat = 1e-2;
// Of a loss against itself: as many sums in another order.
constexpr double kSameLossDouble = 1e-9, kSameLossFloat = 1e-4;
// How much longer a direction's part along ∇h is than one of its random parts.
constexpr double kAlongGradient = 3;

bool in_double(const ParameterLayout& parameters) {
  return parameters.options().dtype() == torch::kDouble;
}

/// s∘x, s the root mean square of each parameter, or 1 where that is zero.
Tensor in_units_of(const ParameterLayout& parameters, const Tensor& x) {
  auto scaled = x.clone();
  const auto pieces = parameters.views(scaled);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto p = parameters.tensors()[i].detach();
    const double size =
        norm_in_double(p) / std::sqrt(static_cast<double>(std::max<int64_t>(p.numel(), 1)));
    if (size > 0) pieces[i].mul_(size);
  }
  return scaled;
}

HealthCheck check_repeats(const DerivativeContext& context) {
  const double h = context.h;
  const auto& parameters = context.parameters();
  const double again = context.loss.value_at(torch::zeros_like(parameters.values()));
  auto check = judged("loss", std::abs(again - h) / std::max(std::abs(h), 1.0),
                      in_double(parameters) ? kSameLossDouble : kSameLossFloat,
                      fmt::format("{:.6g} and, called again at the same parameters, {:.6g}: the "
                                  "closure draws other data or random numbers of its own, or a "
                                  "call changes something that the next one uses",
                                  h, again));
  if (check.holds) check.says = again == h ? "the same bits" : "to rounding, not to the bit";
  return check;
}

}  // namespace

namespace detail {

DerivativeContext::DerivativeContext(MovedLoss& loss, const DerivativeHealthOptions& options)
    : loss(loss),
      options(options),
      graph(loss.here(), loss.parameters().tensors(), make_generator(options.seed()),
            Terms::WhenAsked),
      h(loss_of(graph).item<double>()),
      rounding(rounding_of(parameters().options())),
      step(options.step() > 0 ? options.step() : std::cbrt(rounding)),
      tolerance(options.tolerance() > 0
                    ? options.tolerance()
                    : (in_double(parameters()) ? kToleranceDouble : kToleranceFloat)) {}

Tensor DerivativeContext::direction(const Tensor& part, uint64_t stream) const {
  auto generator = make_generator(options.seed(), stream);
  const auto n = random_normal({parameters().size()}, parameters().options(), generator) * part;
  const auto w = in_units_of(parameters(), graph.gradient()) * part;
  const double length = norm_in_double(w);
  const bool is_known = std::isfinite(length) && length > 0;
  return in_units_of(parameters(), is_known ? n + w * (kAlongGradient / length) : n);
}

}  // namespace detail

Health derivative_health(std::vector<Tensor> parameters, const std::function<Tensor()>& loss,
                         const DerivativeHealthOptions& options) {
  TORCH_CHECK_VALUE(loss, "natgrad: derivative_health needs a closure, but got none.");
  TORCH_CHECK_VALUE(options.step() >= 0 && options.tolerance() >= 0,
                    "natgrad: derivative_health takes a step and a tolerance >= 0, but got ",
                    options.step(), " and ", options.tolerance(), ".");
  MovedLoss moved(loss, std::move(parameters));
  DerivativeContext context(moved, options);
  Health health{"derivatives of the loss"};
  examine(health, "loss", [&] { return check_repeats(context); });
  if (!health.holds) return health;
  context.v = context.direction(torch::ones_like(context.parameters().values()), 1);
  check_gradients(context, health);
  check_products(context, health);
  return health;
}

}  // namespace natgrad
