#include "graph/table_rows.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

namespace natgrad::detail {
namespace {

using torch::Tensor;

// Of the rows of W that are touched, so many numbers of R are formed at once, or of pairs of
// entries: 16 MiB in float32.
constexpr int64_t kNumbersAtOnce = int64_t{1} << 22;
// What it takes to compare and add a pair of entries, in multiplications.
constexpr int64_t kPair = 8;

TableEntries entries_of(const Capture& captured, size_t parameter, torch::ScalarType dtype) {
  std::vector<TableEntries> parts;
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    const auto& layer = captured.layers[k];
    if (layer.weight != parameter) continue;
    const auto delta = captured.deltas[k].to(dtype);
    parts.push_back(table_entries(layer, delta, captured.examples, captured.orders[k]));
  }
  return joined(parts, captured.examples);
}

/// Whether pairs of entries cost less than dense rows of what is touched, as far as sizes tell.
bool are_pairs_cheap(const TableEntries& entries, int64_t examples, int64_t numbers_of_table) {
  if (entries.example.defined()) return false;
  const auto width = entries.vectors.size(1), of_each = entries.index.numel() / examples;
  const auto touched_at_most = std::min(numbers_of_table, entries.vectors.numel());
  return of_each == 1 || of_each * of_each * (width + kPair) <= touched_at_most;
}

}  // namespace

TableRows::TableRows(const Capture& captured, size_t parameter, const Tensor& table)
    : parameter_(parameter),
      examples_(captured.examples),
      entries_(entries_of(captured, parameter, table.scalar_type())) {
  if (are_pairs_cheap(entries_, examples_, table.numel())) return;
  entries_ = merged(entries_, examples_);
  const auto [rows, place, counts] =
      at::unique_consecutive(entries_.index, /*return_inverse=*/true);
  place_ = place;
  touched_ = rows.size(0);
}

Tensor TableRows::multiply(const Tensor& v) const {
  const auto& [index, vectors, example] = entries_;
  const auto products = v.view({-1, vectors.size(1)}).index_select(0, index).mul_(vectors).sum(1);
  if (!is_by_pairs())
    return torch::zeros({examples_}, v.options()).index_add_(0, example, products);
  return of_each() == 1 ? products : products.view({-1, examples_}).sum(0);
}

void TableRows::add_transposed(const Tensor& u, const Tensor& piece) const {
  const auto& [index, vectors, example] = entries_;
  const auto weights = is_by_pairs() ? u.repeat(of_each()) : u.index_select(0, example);
  piece.view({-1, vectors.size(1)}).index_add_(0, index, vectors * weights.unsqueeze(1));
}

Tensor TableRows::squared_norms() const {
  const auto& [index, vectors, example] = entries_;
  const auto squares = [&] { return vectors.square().sum(1); };
  if (!is_by_pairs())
    return torch::zeros({examples_}, vectors.options()).index_add_(0, example, squares());
  if (of_each() == 1) return squares();
  const auto by_example = vectors.view({-1, examples_, vectors.size(1)}).transpose(0, 1);
  const auto rows = index.view({-1, examples_}).t();
  return by_example.bmm(by_example.transpose(1, 2))
      .masked_fill_(rows.unsqueeze(1) != rows.unsqueeze(2), 0)
      .sum({1, 2});
}

int64_t TableRows::numbers_of_gram() const {
  const auto width = entries_.vectors.size(1);
  return is_by_pairs() ? of_each() * of_each() * (width + kPair) : touched_ * width;
}

void TableRows::add_gram(const Tensor& gram) const {
  if (is_by_pairs()) return add_pairs(gram);
  const auto numbers = std::max<int64_t>(1, examples_ * entries_.vectors.size(1));
  const auto at_once = std::max<int64_t>(1, kNumbersAtOnce / numbers);
  for (int64_t begin = 0; begin < touched_; begin += at_once) {
    add_touched(gram, begin, std::min(begin + at_once, touched_));
  }
}

/// Of the t-th entries of all examples with all entries, some t at a time.
void TableRows::add_pairs(const Tensor& gram) const {
  const auto& [index, vectors, example] = entries_;
  const auto all = index.numel(), steps = std::max<int64_t>(1, kNumbersAtOnce / (all * examples_));
  for (int64_t begin = 0; begin < all; begin += steps * examples_) {
    const auto count = std::min(steps * examples_, all - begin);
    const auto differ = index.narrow(0, begin, count).unsqueeze(1) != index.unsqueeze(0);
    const auto products = vectors.narrow(0, begin, count).mm(vectors.t()).masked_fill_(differ, 0);
    const auto rows = count == examples_ ? products : products.view({-1, examples_, all}).sum(0);
    for (const auto& block : rows.split(examples_, 1)) gram.add_(block);
  }
}

/// Adds the part of RRᵀ in the touched rows from `begin` to `end` of W.
void TableRows::add_touched(const Tensor& gram, int64_t begin, int64_t end) const {
  auto part = entries_;
  auto place = place_;
  if (end - begin < touched_) {
    const auto inside = place_.ge(begin).logical_and_(place_.lt(end)).nonzero().squeeze(1);
    part = {{}, part.vectors.index_select(0, inside), part.example.index_select(0, inside)};
    place = place_.index_select(0, inside) - begin;
  }
  const auto width = end - begin;
  const auto rows = torch::zeros({examples_ * width, part.vectors.size(1)}, part.vectors.options())
                        .index_copy_(0, part.example * width + place, part.vectors)
                        .view({examples_, -1});
  gram.addmm_(rows, rows.t());
}

}  // namespace natgrad::detail
