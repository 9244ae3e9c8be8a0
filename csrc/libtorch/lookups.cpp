#include "libtorch/lookups.h"

#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/torch.h>

#include <algorithm>

#include "libtorch/edges.h"
#include "libtorch/nodes.h"
#include "libtorch/saved.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Node;
namespace generated = torch::autograd::generated;

bool holds_integers(const Tensor& index) {
  return index.scalar_type() == torch::kLong || index.scalar_type() == torch::kInt;
}

Lookup plain_lookup(const Tensor& index) { return {index.reshape(-1).to(torch::kLong), {}, {}}; }

std::optional<Lookup> looked_up_by_embedding(Node& node) {
  const auto& embedding = static_cast<generated::EmbeddingBackward0&>(node);
  if (embedding.scale_grad_by_freq || embedding.sparse) return std::nullopt;
  auto lookup = plain_lookup(saved(embedding.indices_, node));
  const auto padding = embedding.padding_idx.expect_int();
  if (padding >= 0) lookup.weight = lookup.index != padding;
  return lookup;
}

// As LibTorch numbers them.
enum BagMode : int64_t { kSum = 0, kMean = 1 };

/// Which bag each entry is in, given where each bag begins; an empty one begins where the next
/// does. Undefined where all bags have as many.
Tensor bags_of_entries(const Tensor& offsets, int64_t entries, int64_t bags) {
  const auto options = offsets.options().dtype(torch::kLong);
  const auto begins = offsets.to(torch::kLong);
  const bool may_be_even = bags > 0 && entries > 0 && entries % bags == 0;
  if (may_be_even &&
      begins.narrow(0, 0, bags).equal(torch::arange(bags, options) * (entries / bags)))
    return {};
  return torch::searchsorted(begins, torch::arange(entries, options), /*out_int32=*/false,
                             /*right=*/true) -
         1;
}

/// Divides the weights of each bag's entries by how many count in it.
Tensor averaged(const Tensor& weight, const Tensor& row, int64_t bags) {
  const auto counted = weight.to(torch::kDouble);
  if (!row.defined()) {
    const auto by_bag = counted.view({bags, -1});
    return (by_bag / by_bag.sum(1, /*keepdim=*/true).clamp_min_(1)).view(-1);
  }
  const auto sizes = torch::zeros({bags}, counted.options()).index_add_(0, row, counted);
  return counted / sizes.clamp_min_(1).index_select(0, row);
}

std::optional<Lookup> looked_up_by_bag(Node& node) {
  const auto& bag = static_cast<generated::EmbeddingBagBackward0&>(node);
  const bool is_known = bag.mode == kSum || bag.mode == kMean;
  if (!is_known || bag.scale_grad_by_freq || bag.sparse) return std::nullopt;
  auto lookup = plain_lookup(saved(bag.indices_, node));
  const auto bags = shape_at(result_of(node))[0];
  lookup.row = bags_of_entries(saved(bag.offsets_, node), lookup.index.numel(), bags);
  lookup.weight = saved(bag.per_sample_weights_, node);
  if (bag.padding_idx >= 0) {
    const auto is_word = lookup.index != bag.padding_idx;
    lookup.weight = lookup.weight.defined() ? lookup.weight * is_word : is_word;
  }
  if (bag.mode == kMean) {
    const auto weight = lookup.weight.defined() ? lookup.weight : torch::ones_like(lookup.index);
    lookup.weight = averaged(weight, lookup.row, bags);
  }
  return lookup;
}

std::optional<Lookup> looked_up_by_selection(Node& node) {
  const auto& selection = static_cast<generated::IndexSelectBackward0&>(node);
  const auto dims = static_cast<int64_t>(selection.self_sym_sizes.size());
  if (dims == 0 || selection.dim % dims != 0) return std::nullopt;
  return plain_lookup(saved(selection.index_, node));
}

/// W[index], also of negative numbers; nothing where a mask, or several indices together, choose.
std::optional<Lookup> looked_up_by_index(Node& node) {
  auto& chosen = static_cast<generated::IndexBackward0&>(node);
  if (chosen.indices_.empty()) return std::nullopt;
  const auto first = saved(chosen.indices_.front(), node);
  const bool are_others_whole =
      std::none_of(chosen.indices_.begin() + 1, chosen.indices_.end(),
                   [&](const auto& index) { return saved(index, node).defined(); });
  if (!first.defined() || !holds_integers(first) || !are_others_whole) return std::nullopt;
  auto lookup = plain_lookup(first);
  lookup.index = lookup.index.remainder(chosen.self_sym_sizes[0].expect_int());
  return lookup;
}

std::optional<Lookup> looked_up_by_slice(Node& node) {
  const auto& slice = static_cast<generated::SliceBackward0&>(node);
  const auto size = slice.self_sym_sizes.empty() ? 0 : slice.self_sym_sizes[0].expect_int();
  const auto dims = static_cast<int64_t>(slice.self_sym_sizes.size());
  if (size == 0 || slice.dim % dims != 0) return std::nullopt;
  const auto wrapped = [size](int64_t at) {
    return std::clamp(at < 0 ? at + size : at, int64_t{0}, size);
  };
  const auto begin = wrapped(slice.start ? slice.start->expect_int() : 0);
  const auto step = slice.step.expect_int(), length = shape_at(result_of(node))[0];
  const auto device = options_at(result_of(node)).device();
  return Lookup{
      begin + step * torch::arange(length, torch::dtype(torch::kLong).device(device)), {}, {}};
}

}  // namespace

std::optional<Lookup> lookup_of(Node& node) {
  switch (op_of(node)) {
    case Op::Embedding:
      return looked_up_by_embedding(node);
    case Op::EmbeddingBag:
      return looked_up_by_bag(node);
    case Op::Index:
      return looked_up_by_index(node);
    case Op::IndexSelect:
      return looked_up_by_selection(node);
    case Op::Slice:
      return looked_up_by_slice(node);
    default:
      return std::nullopt;
  }
}

}  // namespace natgrad::detail
