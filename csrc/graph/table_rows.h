#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>
#include <torch/types.h>

#include "graph/capture.h"
#include "graph/table_entries.h"

namespace natgrad::detail {

/// The rows R, [N, V·d], of a table W that only lookups take part in, by the rows of W that the
/// batch touches: with one lookup an example, of W's row jᵢ,
///
///     R v = δᵢ·v_jᵢ,  Rᵀu = Σ uᵢ δᵢ in row jᵢ,  RRᵀ = [jᵢ = jₖ] δᵢ·δₖ,
///
/// and else alike, with each example's δ of the same row of W added up. Neither N·V·d numbers nor
/// V·d for each example are ever held, however large the table.
class TableRows {
 public:
  /// The parameter has Embedding layers only, of what was captured.
  TableRows(const Capture& captured, size_t parameter, torch::ScalarType dtype);

  size_t parameter() const { return parameter_; }
  /// R v, [N], given v in W's place.
  torch::Tensor multiply(const torch::Tensor& v) const;
  /// piece += Rᵀu, in W's place, contiguous.
  void add_transposed(const torch::Tensor& u, const torch::Tensor& piece) const;
  /// gram += RRᵀ.
  void add_gram(const torch::Tensor& gram) const;
  /// ‖Rᵢ‖², [N].
  torch::Tensor squared_norms() const;
  /// Numbers that are multiplied in R v.
  int64_t numbers() const { return entries_.vectors.numel(); }
  /// For each pair of examples in RRᵀ.
  int64_t numbers_of_gram() const;

 private:
  bool has_one_each() const { return !place_.defined(); }
  void add_touched(const torch::Tensor& gram, int64_t begin, int64_t end) const;

  size_t parameter_;
  int64_t examples_;
  TableEntries entries_;
  torch::Tensor place_;  ///< number of the entry's row among those touched, [K]
  int64_t touched_ = 0;
};

}  // namespace natgrad::detail
