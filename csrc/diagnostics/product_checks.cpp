#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <torch/torch.h>

#include <array>
#include <vector>

#include "diagnostics/derivative_context.h"
#include "diagnostics/differences.h"
#include "diagnostics/health_checks.h"
#include "diagnostics/op_at_fault.h"
#include "graph/backward.h"
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"
#include "libtorch/errors.h"
#include "linalg/norm.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// ∇_z L by output.
std::vector<Tensor> output_slopes(const LossGraph& graph) {
  return sum_by_output(graph, [](const LossTerm& term) {
    return term.gradient.defined() ? term.gradient.detach() : Tensor();
  });
}

std::vector<Tensor> moved_by(const std::vector<Tensor>& there, const std::vector<Tensor>& here) {
  std::vector<Tensor> difference(here.size());
  for (size_t k = 0; k < here.size(); ++k) {
    if (here[k].defined() && there[k].defined()) difference[k] = there[k] - here[k];
  }
  return difference;
}

/// Jᵀu by a plain backward pass, which no product with J shares.
Tensor pulled_back_once(const LossGraph& graph, const std::vector<Tensor>& u) {
  torch::autograd::edge_list roots;
  std::vector<Tensor> cotangents;
  for (size_t k = 0; k < u.size(); ++k) {
    if (!u[k].defined()) continue;
    roots.push_back(output_edges(graph)[k]);
    cotangents.push_back(u[k]);
  }
  const auto& parameters = graph.parameters();
  return parameters.flatten(backward(roots, cotangents, edges_of(parameters.tensors())));
}

/// z of the terms with a distribution, one after the other.
std::vector<Tensor> outputs_of_terms(const LossGraph& graph) {
  std::vector<Tensor> z;
  for (const auto& term : graph.terms()) {
    if (term.likelihood) z.push_back(term.likelihood->outputs().detach().clone());
  }
  return z;
}

/// F_R z of these, flat: what of z no distribution depends on counts as nothing.
Tensor in_fisher_norm(const LossGraph& graph, const std::vector<Tensor>& z) {
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> products;
  for (const auto& term : graph.terms()) {
    if (!term.likelihood) continue;
    const auto& part = z[products.size()];
    products.push_back(term.likelihood->fisher_multiply(part).reshape(-1).to(torch::kDouble));
  }
  return torch::cat(products);
}

/// What a graph says at θ ± εv and θ ± 2εv.
struct Sights {
  std::array<Tensor, 4> gradients;  ///< ∇h
  std::array<Tensor, 4> pulled;     ///< Jᵀ(∇_z L - that at θ)
  std::array<std::vector<Tensor>, 4> outputs;
};

Sights look_around(const DerivativeContext& context, bool is_readable) {
  Sights sights;
  const auto slopes = is_readable ? output_slopes(context.graph) : std::vector<Tensor>();
  for (size_t k = 0; k < kPoints.size(); ++k) {
    context.loss.at(kPoints[k] * context.step * context.v, [&](const Tensor& h) {
      const LossGraph there(h, context.parameters().tensors(), Terms::WhenAsked);
      sights.gradients[k] = there.gradient();
      if (!is_readable) return;
      sights.pulled[k] = pulled_back_once(there, moved_by(output_slopes(there), slopes));
      sights.outputs[k] = outputs_of_terms(there);
    });
  }
  return sights;
}

HealthCheck check_jacobian(const DerivativeContext& context, const Sights& sights) {
  const auto& graph = context.graph;
  const auto jv = graph.multiply_jacobian(context.v);
  std::vector<Tensor> by_term;
  for (const auto& term : graph.terms()) {
    if (term.likelihood) by_term.push_back(jv[term.output].to(term.likelihood->outputs().dtype()));
  }
  if (by_term.empty()) {
    return inconclusive("Jacobian", "no outputs have a distribution, whose F_R would measure them");
  }
  const auto z = outputs_of_terms(graph);
  std::array<Tensor, 4> moves;
  for (size_t k = 0; k < moves.size(); ++k) {
    moves[k] = in_fisher_norm(graph, moved_by(sights.outputs[k], z));
  }
  const auto derivative = derivative_of(moves, torch::zeros_like(moves[0]), context.step,
                                        norm_in_double(in_fisher_norm(graph, z)), context.rounding);
  return held_against("Jacobian", in_fisher_norm(graph, by_term), derivative, context.tolerance,
                      "J v is not the derivative of the outputs");
}

HealthCheck check_gauss_newton(const DerivativeContext& context, const Sights& sights) {
  const auto& graph = context.graph;
  const auto& make = context.options.gauss_newton();
  const auto G = make ? make(graph) : gauss_newton(graph);
  const double size = norm_in_double(pulled_back_once(graph, output_slopes(graph)));
  return held_against("Gauss-Newton", G.multiply(context.v),
                      derivative_of(sights.pulled, torch::zeros_like(context.v), context.step, size,
                                    context.rounding),
                      context.tolerance, "G v is not the derivative of Jᵀ∇_z L by the outputs");
}

HealthCheck check_hessian(const DerivativeContext& context, const Sights& sights) {
  const auto& make = context.options.hessian();
  const auto H = make ? make(context.graph) : hessian(context.graph);
  const auto& gradient = context.graph.gradient();
  return held_against("Hessian", H.multiply(context.v),
                      derivative_of(sights.gradients, gradient, context.step,
                                    norm_in_double(gradient), context.rounding),
                      context.tolerance, "H v is not the derivative of ∇h");
}

/// Why the loss cannot be read; empty if it can be.
std::string refusal_of(const LossGraph& graph) {
  if (graph.is_readable()) return "";
  try {
    graph.terms();
  } catch (const c10::Error& error) {
    return without_prefix(error.what_without_backtrace());
  }
  return "";
}

/// The op whose backward is not differentiable, or those of the user's own.
std::string op_of_second_derivatives(const LossGraph& graph) {
  const auto& census = loss_census(graph);
  try {
    const auto op = find_undifferentiable_op(census.roots);
    if (!op.empty()) return op;
  } catch (const c10::NotImplementedError&) {
    return "";  // the error that was caught before names it
  }
  const auto& tensors = graph.parameters().tensors();
  return custom_op_above(census, tensors, std::vector<bool>(tensors.size(), true));
}

}  // namespace

void check_products(const DerivativeContext& context, Health& health) {
  const auto refusal = refusal_of(context.graph);
  const auto sights = look_around(context, refusal.empty());
  if (refusal.empty()) {
    examine(health, "Jacobian", [&] { return check_jacobian(context, sights); });
    examine(health, "Gauss-Newton", [&] { return check_gauss_newton(context, sights); });
  } else {
    for (const auto* name : {"Jacobian", "Gauss-Newton"}) {
      health.checks.push_back(inconclusive(name, "the loss cannot be read: " + refusal));
    }
  }
  examine(health, "Hessian", [&] { return check_hessian(context, sights); });
  blame(health, [&] { return op_of_second_derivatives(context.graph); });
}

}  // namespace natgrad::detail
