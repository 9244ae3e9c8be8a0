#include "graph/pull_back_examples.h"

#include <torch/torch.h>
#include "graph/linearization.h"

#include <algorithm>

#include "graph/pull_back_many.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;

// Examples whose single u are held at once.
constexpr int64_t kExamplesAtOnce = 32;

/// u of the examples `first` to `first + count`, one by one: [count, N, ...].
std::vector<Tensor> single_examples(const OutputGradients& u, int64_t first, int64_t count) {
  std::vector<Tensor> singles;
  for (const auto& value : u.values) {
    auto sizes = value.sizes().vec();
    sizes.insert(sizes.begin(), count);
    auto single = torch::zeros(sizes, value.options());
    single.narrow(1, first, count)
        .diagonal(0, 0, 1)
        .copy_(value.narrow(0, first, count).movedim(0, -1));
    singles.push_back(std::move(single));
  }
  return singles;
}

}  // namespace

Tensor pull_back_examples(const OutputGradients& u, Columns columns, int64_t examples,
                          const std::vector<Tensor>& parameters) {
  std::vector<int64_t> lengths;
  for (const auto& parameter : parameters) lengths.push_back(parameter.numel());
  std::vector<Tensor> rows;
  for (int64_t first = 0; first < examples; first += kExamplesAtOnce) {
    const auto singles = single_examples(u, first, std::min(kExamplesAtOnce, examples - first));
    rows.push_back(pull_back_many(u.edges, columns, singles, edges_of(parameters), lengths,
                                  parameters.front().options().requires_grad(false)));
  }
  return torch::cat(rows);
}

}  // namespace natgrad::detail
