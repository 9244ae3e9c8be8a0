#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>
#include <torch/types.h>

#include "graph/capture.h"
#include "graph/table_entries.h"

namespace natgrad::detail {

/// The rows R, [N, V·d], of a table W that only lookups take part in, by the rows of W that the
/// batch touches: with T lookups an example, of W's rows j_it,
///
///     (R v)ᵢ = Σ δ_it·v_j_it,  Rᵀu = Σ uᵢ δ_it in row j_it,  (RRᵀ)ᵢₖ = Σ [j_it = j_kr] δ_it·δ_kr.
///
/// Where T is large each example's δ of the same row of W are added up, and RRᵀ is the product of
/// dense rows of those touched, some at a time. Neither N·V·d numbers nor V·d for each example are
/// ever held, however large the table.
class TableRows {
 public:
  /// The parameter has Embedding layers only, of what was captured.
  TableRows(const Capture& captured, size_t parameter, const torch::Tensor& table);

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
  bool is_by_pairs() const { return !place_.defined(); }
  int64_t of_each() const { return entries_.index.numel() / examples_; }
  void add_touched(const torch::Tensor& gram, int64_t begin, int64_t end) const;
  void add_pairs(const torch::Tensor& gram) const;

  size_t parameter_;
  int64_t examples_;
  TableEntries entries_;
  torch::Tensor place_;  ///< number of the entry's row among those touched, [K]
  int64_t touched_ = 0;
};

}  // namespace natgrad::detail
