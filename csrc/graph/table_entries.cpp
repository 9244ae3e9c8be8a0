#include "graph/table_entries.h"

#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

TableEntries table_entries(const Layer& layer, const Tensor& delta, int64_t examples,
                           ExampleOrder order) {
  const auto& lookup = layer.lookup;
  const auto by_row = delta.reshape({layer.rows, -1});
  const auto row =
      lookup.row.defined() ? lookup.row : torch::arange(layer.rows, lookup.index.options());
  auto vectors = lookup.row.defined() ? by_row.index_select(0, row) : by_row;
  if (lookup.weight.defined()) vectors = vectors * lookup.weight.unsqueeze(1).to(vectors.dtype());
  if (layer.rows == examples) return {row, lookup.index, vectors};
  const auto example = order == ExampleOrder::Major
                           ? row.div(layer.rows / examples, /*rounding_mode=*/"floor")
                           : row.remainder(examples);
  return {example, lookup.index, vectors};
}

TableEntries merged(const TableEntries& entries, int64_t examples) {
  const auto [keys, place, counts] =
      at::_unique2(entries.index * examples + entries.example, /*sorted=*/true,
                   /*return_inverse=*/true);
  const auto vectors =
      torch::zeros({keys.size(0), entries.vectors.size(1)}, entries.vectors.options())
          .index_add_(0, place, entries.vectors);
  return {keys.remainder(examples), keys.div(examples, "floor"), vectors};
}

}  // namespace natgrad::detail
