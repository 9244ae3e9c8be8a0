#include "pull_back_examples.h"

#include <natgrad/graph/backward.h>
#include <natgrad/graph/linearization.h>
#include <natgrad/graph/pass_size.h>
#include <natgrad/linalg/vmap.h>
#include <torch/torch.h>

#include <algorithm>

namespace natgrad {
namespace {

using torch::Tensor;

// Examples that are pulled back at once; in a vmap each takes the memory of a backward pass.
constexpr int64_t kAtOnce = 32;

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

Tensor pull_back_examples(const OutputGradients& u, int64_t examples,
                          const std::vector<Tensor>& parameters) {
  const auto edges = edges_of(parameters);
  const TensorFunction pull_back_one = [&](const std::vector<Tensor>& values) {
    auto gradients = backward(u.edges, values, edges);
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) gradients[i] = torch::zeros_like(parameters[i]);
      gradients[i] = gradients[i].reshape(-1);
    }
    return torch::cat(gradients);
  };
  bool at_once = is_small_pass(u.edges);
  std::vector<Tensor> rows;
  for (int64_t first = 0; first < examples; first += kAtOnce) {
    const auto singles = single_examples(u, first, std::min(kAtOnce, examples - first));
    const auto all = at_once ? vmap(pull_back_one, singles) : std::nullopt;
    at_once = all.has_value();
    rows.push_back(all ? *all : loop(pull_back_one, singles));
  }
  return torch::cat(rows);
}

}  // namespace natgrad
