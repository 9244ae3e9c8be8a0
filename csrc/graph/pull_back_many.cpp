#include "graph/pull_back_many.h"

#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/census.h"
#include "linalg/vmap.h"

#include <algorithm>

namespace natgrad::detail {
namespace {

using torch::Tensor;

// Passes at once; in a vmap each takes the memory of a backward pass.
constexpr int64_t kPassesAtOnce = 32;

// Of a row against one pass, relative: what an op gets wrong is a good part of the whole.
constexpr double kSamePass = 1e-3;

/// Whether rows that were made at once are what passes are: of one mixture of them. LibTorch's own
/// batching of some op may be wrong (that of cdist's backward is).
bool is_right(const TensorFunction& f, const std::vector<Tensor>& batches, const Tensor& rows) {
  const auto weights = torch::linspace(1, 2, rows.size(0), rows.options());
  std::vector<Tensor> mixture;
  for (const auto& batch : batches) {
    mixture.push_back(torch::tensordot(weights.to(batch.dtype()), batch, {0}, {0}));
  }
  const auto error = (f(mixture) - weights.matmul(rows)).norm();
  const auto size = weights.dot(rows.norm(2, {1}));
  return !(error > kSamePass * size).item<bool>();
}

Tensor loop(const TensorFunction& f, const std::vector<Tensor>& batches) {
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < batches.front().size(0); ++i) {
    std::vector<Tensor> slices;
    for (const auto& batch : batches) slices.push_back(batch[i]);
    rows.push_back(f(slices));
  }
  return torch::stack(rows);
}

}  // namespace

Tensor pull_back_many(const torch::autograd::edge_list& roots, Columns columns,
                      const std::vector<Tensor>& batches, const torch::autograd::edge_list& inputs,
                      const std::vector<int64_t>& lengths, const torch::TensorOptions& options) {
  const TensorFunction pull_back_one = [&](const std::vector<Tensor>& cotangents) {
    auto arrived = backward(roots, cotangents, inputs);
    for (size_t k = 0; k < arrived.size(); ++k) {
      arrived[k] = arrived[k].defined() ? arrived[k].reshape(-1).to(options.dtype())
                                        : torch::zeros({lengths[k]}, options);
    }
    return torch::cat(arrived);
  };
  const auto passes = batches.front().size(0);
  bool at_once = passes > 1 && columns == Columns::Vmapped;
  std::vector<Tensor> rows;
  for (int64_t first = 0; first < passes; first += kPassesAtOnce) {
    std::vector<Tensor> some;
    for (const auto& batch : batches) {
      some.push_back(batch.narrow(0, first, std::min(kPassesAtOnce, passes - first)));
    }
    auto all = at_once ? vmap(pull_back_one, some) : std::nullopt;
    if (all && first == 0 && !is_right(pull_back_one, some, *all)) all.reset();
    at_once = all.has_value();
    rows.push_back(all ? *all : loop(pull_back_one, some));
  }
  return rows.size() == 1 ? rows.front() : torch::cat(rows);
}

}  // namespace natgrad::detail
