#include "graph/table_entries.h"

#include <torch/torch.h>

#include <algorithm>

namespace natgrad::detail {
namespace {

using torch::Tensor;

/// [M·L, ...] of L entries a row as [K, ...] with the examples along the last dimension of K.
Tensor examples_last(const Tensor& entries, const Layer& layer, int64_t examples,
                     ExampleOrder order) {
  if (entries.size(0) == examples) return entries;
  const auto by_row = entries.unflatten(0, {layer.rows, -1});
  return by_example(by_row, examples, order).flatten(1, 2).transpose(0, 1).flatten(0, 1);
}

TableEntries with_weights(TableEntries entries, const Tensor& weight) {
  const auto dtype = entries.vectors.dtype();
  if (weight.defined()) entries.vectors = entries.vectors * weight.unsqueeze(1).to(dtype);
  return entries;
}

}  // namespace

TableEntries table_entries(const Layer& layer, const Tensor& delta, int64_t examples,
                           ExampleOrder order) {
  const auto& [index, row, weight] = layer.lookup;
  const auto by_row = delta.reshape({layer.rows, -1});
  if (row.defined()) {
    const auto example = order == ExampleOrder::Major
                             ? row.div(layer.rows / examples, /*rounding_mode=*/"floor")
                             : row.remainder(examples);
    return with_weights({index, by_row.index_select(0, row), example}, weight);
  }
  const auto of_each = index.numel() / layer.rows;
  const auto entries = with_weights(
      {index, of_each == 1 ? by_row : by_row.repeat_interleave(of_each, 0), {}}, weight);
  return {examples_last(entries.index, layer, examples, order),
          examples_last(entries.vectors, layer, examples, order),
          {}};
}

Tensor examples_of(const TableEntries& entries, int64_t examples) {
  if (entries.example.defined()) return entries.example;
  return torch::arange(entries.index.numel(), entries.index.options()).remainder(examples);
}

TableEntries joined(const std::vector<TableEntries>& parts, int64_t examples) {
  if (parts.size() == 1) return parts.front();
  const bool are_even = std::none_of(
      parts.begin(), parts.end(), [](const TableEntries& part) { return part.example.defined(); });
  std::vector<Tensor> index, vectors, example;
  for (const auto& part : parts) {
    index.push_back(part.index);
    vectors.push_back(part.vectors);
    if (!are_even) example.push_back(examples_of(part, examples));
  }
  return {torch::cat(index), torch::cat(vectors), are_even ? Tensor() : torch::cat(example)};
}

TableEntries merged(const TableEntries& entries, int64_t examples) {
  const auto [keys, place, counts] =
      at::_unique2(entries.index * examples + examples_of(entries, examples), /*sorted=*/true,
                   /*return_inverse=*/true);
  const auto vectors =
      torch::zeros({keys.size(0), entries.vectors.size(1)}, entries.vectors.options())
          .index_add_(0, place, entries.vectors);
  return {keys.div(examples, "floor"), vectors, keys.remainder(examples)};
}

}  // namespace natgrad::detail
