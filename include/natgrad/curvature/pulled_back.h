#pragma once

#include <natgrad/export.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/linear_operator.h>

#include <functional>
#include <string>
#include <vector>

namespace natgrad {

/// A linear map on the network's outputs: one tensor per output in, one out, each shaped like its
/// z. An undefined one counts as zero.
using OutputMap = std::function<std::vector<torch::Tensor>(const std::vector<torch::Tensor>& jv)>;

/// The matrix of the general form that section 10 of Martens' "New perspectives" is about,
///
///     C = Σ Jᵢᵀ Aᵢ Jᵢ,   v ↦ Jᵀ (A (J v)),   J = ∂z/∂θ,
///
/// for any symmetric map A on the outputs that knows no parameters but through z and y:
///
/// ```cpp
/// auto C = natgrad::pulled_back(graph, [](auto jv) {
///   for (auto& u : jv) u = u / u.size(0);  // A = I/N: the classical Gauss-Newton matrix
///   return jv;
/// });
/// ```
///
/// The generalized Gauss-Newton, Fisher and empirical Fisher matrices are of this form, with A = s
/// H_L, s F_R and s g gᵀ. In other parameters γ, θ = g(γ), such a matrix is J_gᵀ C J_g, so that the
/// directions -C⁻¹∇h are one vector (`invariance_check` in diagnostics). A need not be invertible
/// nor positive semi-definite; for C⁻¹ it is C that has to be invertible.
///
/// As an option of the optimizer: `Metric("name", [](const LossGraph& graph) { return
/// pulled_back(graph, A); })`, whose A may ask the graph for its terms.
///
/// A product costs J v and Jᵀu, about a forward and a backward pass, and one of A; vᵀC v half of
/// that. Products throw `c10::Error` where A answers another number of tensors, or another shape,
/// than it was given; that A is symmetric is taken on trust.
NATGRAD_EXPORT LinearOperator pulled_back(const LossGraph& graph, OutputMap A,
                                          std::string name = "JᵀAJ");

}  // namespace natgrad
