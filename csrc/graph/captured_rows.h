#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>
#include <natgrad/linalg/parameters.h>

#include <optional>
#include <string>
#include <vector>

#include "graph/capture.h"
#include "graph/output_gradients.h"
#include "graph/table_rows.h"

namespace natgrad::detail {

/// Why the rows below the loss's outputs would be dear, as far as the graph tells: examples that
/// depend on each other, parameters that no layer covers. Empty if nothing speaks against them.
std::string why_rows_are_dear(const LossGraph& graph);
/// The same by what was captured: rows that mix examples, rows of too many numbers.
std::string why_rows_are_dear(const Capture& captured, const ParameterLayout& parameters);

/// What is captured below each slot, one after the other.
Capture capture_slots(const GradientSlots& u, const LossGraph& graph);

/// Whether the rows, number by number where they are formed, are too many numbers to hold.
bool are_too_many(const Capture& captured, const ParameterLayout& parameters);

/// R of [N, P]: row i is Jᵢᵀuᵢ, what u at the outputs of example i pulls back to, from one backward
/// pass (of several slots u: one each, their rows one slot after the other) for all examples that
/// captures the layers' inputs a and output gradients δ. With one row an example a linear layer
/// needs no more than these,
///
///     R v = Σ δ·(W a + b) for v = (W, b),  Rᵀu = (Σ uᵢ δᵢ aᵢᵀ, Σ uᵢ δᵢ),
///     RRᵀ = (A Aᵀ + 1) ∘ (Δ Δᵀ)
///
/// (Goodfellow 2015), and no row is formed; nor is one of a large table that only lookups take part
/// in (table_rows.h). Of other layers (convolutions, several rows an example, weights that are used
/// several times) each example's gradient is formed from the same pass, N numbers for each number
/// of theirs; of parameters that no layer covers by a pass for each example.
///
/// R v, Rᵀu and RRᵀ are matrix products, without autograd.
class CapturedRows {
 public:
  /// Throws `c10::Error` as `per_example_gradients` does.
  CapturedRows(const GradientSlots& u, const LossGraph& graph);
  /// Of what was captured below u.
  CapturedRows(const GradientSlots& u, Capture captured, const LossGraph& graph);

  int64_t rows() const { return rows_; }
  const ParameterLayout& parameters() const { return parameters_; }
  /// R v, [N].
  torch::Tensor multiply(const torch::Tensor& v) const;
  /// Rᵀu, [P].
  torch::Tensor multiply_transposed(const torch::Tensor& u) const;
  /// RRᵀ, [N, N]; formed once and kept.
  const torch::Tensor& gram() const;
  /// Estimates for `Root::costs`.
  RootCosts costs() const;
  /// ‖Rᵢ‖², [N].
  torch::Tensor squared_norms() const;

 private:
  /// The rows of a linear layer's parameters, by their factors.
  struct Factored {
    std::optional<size_t> weight, bias;
    torch::Tensor input, delta;  ///< [N, in] and [N, out]
    bool is_input_by_output;
  };
  /// The rows of one parameter, [N, numel].
  struct Explicit {
    size_t parameter;
    torch::Tensor rows;
  };

  /// Rows i < end of RRᵀ, from `begin` on: columns up to `end`.
  void fill_gram(int64_t begin, int64_t end) const;

  ParameterLayout parameters_;
  int64_t rows_;
  mutable torch::Tensor gram_;
  std::vector<Factored> factored_;
  std::vector<Explicit> explicit_;
  std::vector<TableRows> tables_;
};

}  // namespace natgrad::detail
