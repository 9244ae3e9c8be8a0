#pragma once

#include <natgrad/graph/loss_graph.h>
#include "detail.h"

#include "graph/layers.h"

#include <vector>

#include "graph/example_order.h"
#include "graph/output_gradients.h"

namespace natgrad::detail {

/// The layers whose rows belong to examples in a known order, with the activations and δ of the
/// whole batch.
struct Capture {
  int64_t examples = 0;
  std::vector<Layer> layers;
  std::vector<torch::Tensor> deltas;  ///< by layer
  std::vector<ExampleOrder> orders;   ///< by layer
  std::vector<bool> covers;  ///< by parameter: whether these layers are all that it takes part in
};

/// Adds a layer with its δ, whose rows belong to the examples in that order.
void append(Capture& captured, Layer layer, torch::Tensor delta, ExampleOrder order);

/// Takes the layer's parameters out of those that are covered.
void drop(std::vector<bool>& covers, const Layer& layer);

/// Below the outputs of a loss that can be read, given ∂h/∂z.
Capture capture_below(const OutputGradients& u, const LossGraph& graph);

/// The same where the examples may be coupled: rows in dimension 0 whose order no probe tells,
/// since each depends on all, count as the examples' all the same, and so do [N, T] rows of N·T. An
/// example's row is then what the gradient at its rows of the layers adds to ∇h.
Capture capture_shares_below(const OutputGradients& u, const LossGraph& graph);

/// Below one or several of the outputs, whose dimension 0 holds so many examples: those of one
/// term, where others have other numbers of examples.
Capture capture_below_outputs(const OutputGradients& u, const LossGraph& graph, int64_t examples);

/// Below any loss: the examples are what dimension 0 of the layers' outputs holds. Throws
/// `c10::Error` with the way out where they are not all alike there or do not cover all parameters.
Capture capture_below_unread_loss(const LossGraph& graph);

/// Each example's δ times its number.
void scale_examples(Capture& captured, const torch::Tensor& scales);

/// Whether any of the layers has the parameter.
bool takes_part(const Capture& captured, size_t parameter);

/// The layers' share in the rows of a parameter that they cover, [N, numel], given δ by layer.
torch::Tensor rows_of_layers(const Capture& captured, const std::vector<torch::Tensor>& deltas,
                             size_t parameter, const torch::Tensor& value);
/// Adds it to `rows`, which may be a part of larger ones.
void add_rows_of_layers(const torch::Tensor& rows, const Capture& captured,
                        const std::vector<torch::Tensor>& deltas, size_t parameter,
                        const torch::Tensor& value);

/// By parameter: whether one layer, with one row an example, is all that it takes part in: its
/// inner products are then those of the factors.
std::vector<bool> plain_parameters(const Capture& captured);

/// By parameter: whether lookups of its rows are all that it takes part in, and the table is too
/// large to form all examples' rows (table_rows.h).
std::vector<bool> large_tables(const Capture& captured, const ParameterLayout& parameters);

}  // namespace natgrad::detail
