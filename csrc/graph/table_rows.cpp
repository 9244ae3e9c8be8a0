#include "graph/table_rows.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

namespace natgrad::detail {
namespace {

using torch::Tensor;

// Of the rows of W that are touched, so many numbers of R are formed at once: 16 MiB in float32.
constexpr int64_t kNumbersAtOnce = int64_t{1} << 22;

std::vector<TableEntries> entries_by_layer(const Capture& captured, size_t parameter,
                                           torch::ScalarType dtype) {
  std::vector<TableEntries> all;
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    const auto& layer = captured.layers[k];
    if (layer.weight != parameter) continue;
    const auto delta = captured.deltas[k].to(dtype);
    all.push_back(table_entries(layer, delta, captured.examples, captured.orders[k]));
  }
  return all;
}

TableEntries joined(const std::vector<TableEntries>& parts) {
  if (parts.size() == 1) return parts.front();
  std::vector<Tensor> example, index, vectors;
  for (const auto& part : parts) {
    example.push_back(part.example);
    index.push_back(part.index);
    vectors.push_back(part.vectors);
  }
  return {torch::cat(example), torch::cat(index), torch::cat(vectors)};
}

/// Whether entry k is all of example k.
bool is_one_each(const Capture& captured, size_t parameter) {
  return std::all_of(captured.layers.begin(), captured.layers.end(), [&](const Layer& layer) {
    return layer.weight != parameter ||
           (layer.rows == captured.examples && !layer.lookup.row.defined());
  });
}

}  // namespace

TableRows::TableRows(const Capture& captured, size_t parameter, torch::ScalarType dtype)
    : parameter_(parameter), examples_(captured.examples) {
  const auto parts = entries_by_layer(captured, parameter, dtype);
  entries_ = joined(parts);
  if (parts.size() == 1 && is_one_each(captured, parameter)) return;
  entries_ = merged(entries_, examples_);
  const auto [rows, place, counts] =
      at::unique_consecutive(entries_.index, /*return_inverse=*/true);
  place_ = place;
  touched_ = rows.size(0);
}

Tensor TableRows::multiply(const Tensor& v) const {
  const auto& [example, index, vectors] = entries_;
  const auto products = v.view({-1, vectors.size(1)}).index_select(0, index).mul_(vectors).sum(1);
  if (has_one_each()) return products;
  return torch::zeros({examples_}, v.options()).index_add_(0, example, products);
}

void TableRows::add_transposed(const Tensor& u, const Tensor& piece) const {
  const auto& [example, index, vectors] = entries_;
  const auto weights = has_one_each() ? u : u.index_select(0, example);
  piece.view({-1, vectors.size(1)}).index_add_(0, index, vectors * weights.unsqueeze(1));
}

Tensor TableRows::squared_norms() const {
  const auto squares = entries_.vectors.square().sum(1);
  if (has_one_each()) return squares;
  return torch::zeros({examples_}, squares.options()).index_add_(0, entries_.example, squares);
}

int64_t TableRows::numbers_of_gram() const {
  const auto width = entries_.vectors.size(1);
  return has_one_each() ? width : touched_ * width;
}

void TableRows::add_gram(const Tensor& gram) const {
  const auto& vectors = entries_.vectors;
  if (has_one_each()) {
    const auto differ = entries_.index.unsqueeze(0) != entries_.index.unsqueeze(1);
    gram.add_(vectors.mm(vectors.t()).masked_fill_(differ, 0));
    return;
  }
  const auto numbers = std::max<int64_t>(1, examples_ * vectors.size(1));
  const auto at_once = std::max<int64_t>(1, kNumbersAtOnce / numbers);
  for (int64_t begin = 0; begin < touched_; begin += at_once) {
    add_touched(gram, begin, std::min(begin + at_once, touched_));
  }
}

/// Adds the part of RRᵀ in the touched rows from `begin` to `end` of W.
void TableRows::add_touched(const Tensor& gram, int64_t begin, int64_t end) const {
  auto part = entries_;
  auto place = place_;
  if (end - begin < touched_) {
    const auto inside = place_.ge(begin).logical_and_(place_.lt(end)).nonzero().squeeze(1);
    part = {part.example.index_select(0, inside), {}, part.vectors.index_select(0, inside)};
    place = place_.index_select(0, inside) - begin;
  }
  const auto width = end - begin;
  const auto rows = torch::zeros({examples_ * width, part.vectors.size(1)}, part.vectors.options())
                        .index_copy_(0, part.example * width + place, part.vectors)
                        .view({examples_, -1});
  gram.addmm_(rows, rows.t());
}

}  // namespace natgrad::detail
