#include "graph/example_order.h"

#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include "graph/rounding_through_network.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;

// A row's δ is compared relative to the row and, a thousand times smaller, to the layer's longest.
// All of a layer's rows fit by chance only if their examples' scales are as close as that.
constexpr double kOfTheLongest = 1e-3;

}  // namespace

Tensor random_scales(int64_t examples, const torch::TensorOptions& options) {
  auto generator = make_generator(0);
  return random_normal({examples}, options, generator).exp();
}

Tensor scale_examples(const Tensor& u, const Tensor& scales) {
  const auto rows = u.reshape({scales.size(0), -1});
  return (rows * scales.unsqueeze(1)).to(u.dtype()).reshape(u.sizes());
}

std::optional<ExampleOrder> order_of(const Layer& layer, const Tensor& delta,
                                     const Tensor& scaled_delta, const Tensor& scales) {
  const auto examples = scales.size(0);
  if (!delta.defined() || !scaled_delta.defined()) return ExampleOrder::Major;  // no share at all
  const auto count = layer.lstm ? delta.size(0) : layer.rows;
  if (count % examples != 0) return std::nullopt;
  const auto flat = delta.reshape({count, -1}).to(scales.dtype());
  const auto scaled = scaled_delta.reshape({count, -1}).to(scales.dtype());
  const auto factors = scales.view({examples, 1, 1});
  for (const auto order : {ExampleOrder::Major, ExampleOrder::Minor}) {
    const auto expected = by_example(flat, examples, order) * factors;
    const auto error = (by_example(scaled, examples, order) - expected).norm(2, {2});
    const auto length = expected.norm(2, {2});
    const auto allowed = length + kOfTheLongest * length.max();
    if ((error <= rounding_through_network(delta.scalar_type()) * allowed).all().item<bool>())
      return order;
  }
  return std::nullopt;
}

Tensor by_example(const Tensor& rows, int64_t examples, ExampleOrder order) {
  const auto per_example = rows.size(0) / examples;
  if (order == ExampleOrder::Major) return rows.unflatten(0, {examples, per_example});
  return rows.unflatten(0, {per_example, examples}).transpose(0, 1);
}

}  // namespace natgrad::detail
