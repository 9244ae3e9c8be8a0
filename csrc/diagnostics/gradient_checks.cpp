#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <array>
#include <cmath>
#include <vector>

#include "diagnostics/derivative_context.h"
#include "diagnostics/differences.h"
#include "diagnostics/health_checks.h"
#include "diagnostics/op_at_fault.h"
#include "graph/loss_graph_state.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// How often one that is wrong is looked at: the jumps of several units at their kinks, by which it
// is known how wrong differences may be, cancel along one direction, but hardly along three.
constexpr uint64_t kDirections = 3;

HealthCheck check_along(const DerivativeContext& context, const std::string& name, const Tensor& v,
                        const std::string& says) {
  std::array<Tensor, 4> h;
  for (size_t k = 0; k < kPoints.size(); ++k) {
    h[k] = torch::tensor(context.loss.value_at(kPoints[k] * context.step * v), torch::kDouble);
  }
  const auto claimed = context.graph.gradient().to(torch::kDouble).dot(v.to(torch::kDouble));
  const auto derivative = derivative_of(h, torch::tensor(context.h, torch::kDouble), context.step,
                                        std::abs(context.h), context.rounding);
  return held_against(name, claimed, derivative, context.tolerance, says);
}

/// Within the parameters where `part` is 1.
HealthCheck check_gradient(const DerivativeContext& context, const std::string& name,
                           const Tensor& part, const std::string& says) {
  HealthCheck check;
  for (uint64_t stream = 2; stream < 2 + kDirections; ++stream) {
    check = check_along(context, name, context.direction(part, stream), says);
    if (check.holds) break;
  }
  return check;
}

std::string name_of_parameter(size_t i) { return fmt::format("gradient of parameter {}", i); }

/// 1 in parameter i, 0 elsewhere.
Tensor only(const ParameterLayout& parameters, size_t i) {
  auto part = torch::zeros_like(parameters.values());
  parameters.views(part)[i].fill_(1);
  return part;
}

void check_parameter(const DerivativeContext& context, size_t i, Health& health) {
  const auto& p = context.parameters().tensors()[i];
  if (p.numel() == 0) return;
  const auto what = is_reached(loss_census(context.graph), p)
                        ? "∇h·v is not the derivative of h along it"
                        : "h moves with it, but no op of the graph leads to it: a detach(), data()";
  examine(health, name_of_parameter(i), [&] {
    return check_gradient(context, name_of_parameter(i), only(context.parameters(), i),
                          fmt::format("{}; its shape is [{}]", what, fmt::join(p.sizes(), ", ")));
  });
}

/// Which parameters' derivatives an op of the graph has made wrong: those whose checks failed, or
/// all, where none was made.
std::vector<bool> made_wrong(const DerivativeContext& context, const Health& health) {
  const auto& tensors = context.parameters().tensors();
  std::vector<bool> wrong;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto name = name_of_parameter(i);
    const bool fails =
        health.has(name) ? !health.check(name).holds : !context.options.by_parameter();
    wrong.push_back(fails && is_reached(loss_census(context.graph), tensors[i]));
  }
  return wrong;
}

}  // namespace

void check_gradients(const DerivativeContext& context, Health& health) {
  examine(health, "gradient", [&] {
    return check_gradient(context, "gradient", torch::ones_like(context.v),
                          "∇h·v is not the derivative of h");
  });
  const auto& tensors = context.parameters().tensors();
  for (size_t i = 0; context.options.by_parameter() && i < tensors.size(); ++i) {
    check_parameter(context, i, health);
  }
  blame(health, [&] {
    return custom_op_above(loss_census(context.graph), tensors, made_wrong(context, health));
  });
}

}  // namespace natgrad::detail
