#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/linear_operator.h>

#include <string>
#include <vector>

#include <natgrad/curvature/pulled_back.h>

namespace natgrad::detail {

/// Vectors gᵢ = rᵢ Jᵢᵀ uᵢ of [P], one for each example i: the rows of the graph's outputs that
/// belong to the example, pulled back; and what gᵢ gᵢᵀ weighs.
struct ExampleVectors {
  std::vector<torch::Tensor> u;  ///< shaped like the outputs; undefined where zero
  torch::Tensor scale;           ///< r, [N]
  torch::Tensor weights;         ///< m, [N]
  bool centred = false;          ///< whether their mean Σ mᵢ gᵢ/Σm is taken off first
};

/// Σ mᵢ gᵢ gᵢᵀ over the examples of all `sets`, without ever forming a g: with one J v and one Jᵀ,
///
///     v ↦ Jᵀ (mᵢ cᵢ rᵢ uᵢ)ᵢ,  cᵢ = rᵢ uᵢ·(J v)ᵢ, less their mean if centred.
///
/// and JᵀAJ for a map A of the outputs besides, `more`, if there is one. Throws `c10::Error` if the
/// outputs of a set differ in their number of examples.
LinearOperator sum_of_outer_products(const LossGraph& graph, std::string name,
                                     std::vector<ExampleVectors> sets, OutputMap more = nullptr);

/// A number per example, [N], in a shape that broadcasts against `t`.
torch::Tensor along_examples(const torch::Tensor& per_example, const torch::Tensor& t,
                             int64_t example_dim);

/// Each example's numbers in one row, [N, ...]; a tensor without the examples' dimension is one
/// example.
torch::Tensor rows_of_examples(const torch::Tensor& t, int64_t example_dim);

/// ‖rows‖²/N = tr(RᵀR)/N of one row an example, [N, P]: the noise of RᵀR, not estimated. In double.
torch::Tensor noise_of_rows(const torch::Tensor& rows);

}  // namespace natgrad::detail
