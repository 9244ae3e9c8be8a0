#include "optim/replayed_batch.h"
#include <torch/torch.h>
#include "graph/walk.h"

#include <algorithm>
#include <utility>

namespace natgrad::detail {

using torch::Tensor;

namespace {

void check_number(const Tensor& loss) {
  TORCH_CHECK(
      loss.defined() && loss.numel() == 1 && loss.is_floating_point(),
      "natgrad: the closure returned no floating-point number when it was called again, for a "
      "trial loss or a product.");
}

/// The `.grad`s, and how often each was written to.
std::vector<std::pair<Tensor, uint32_t>> gradients_of(const std::vector<Tensor>& parameters) {
  std::vector<std::pair<Tensor, uint32_t>> gradients;
  for (const auto& parameter : parameters) {
    const auto& gradient = parameter.grad();
    gradients.emplace_back(gradient, gradient.defined() ? gradient._version() : 0);
  }
  return gradients;
}

bool are_the_same(const std::vector<std::pair<Tensor, uint32_t>>& a,
                  const std::vector<std::pair<Tensor, uint32_t>>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
    return x.first.is_same(y.first) && x.second == y.second;
  });
}

}  // namespace

ReplayedBatch::ReplayedBatch(Batch batch, std::vector<Tensor> parameters,
                             std::shared_ptr<torch::nn::Module> module)
    : batch_(std::move(batch)), parameters_(std::move(parameters)), module_(std::move(module)) {
  TORCH_CHECK(batch_.loss != nullptr,
              "natgrad: step needs the loss: step(loss), or step(closure) with a closure that "
              "returns it.");
  TORCH_CHECK(batch_.chunks >= 1, "natgrad: a batch has at least 1 chunk, but got ", batch_.chunks,
              ".");
  generators_.resize(batch_.chunks);
}

Tensor ReplayedBatch::evaluate(int64_t chunk) {
  if (!generators_[chunk]) return evaluate_first(chunk);
  Preserved before;  // what the call may draw from, or write to, besides the parameters
  before.exchange_buffers(module_).exchange_gradients(parameters_);
  before.generators(parameters_.front().device());
  generators_[chunk]();
  const auto loss = batch_.loss(chunk);
  check_number(loss);
  return loss;
}

Tensor ReplayedBatch::evaluate_first(int64_t chunk) {
  const auto gradients = gradients_of(parameters_);
  generators_[chunk] = generator_states(parameters_.front().device());
  const auto loss = batch_.loss(chunk);
  torch::GradMode::is_enabled() ? check_loss(loss) : check_number(loss);
  runs_backward_ = runs_backward_ || !are_the_same(gradients_of(parameters_), gradients);
  return loss;
}

}  // namespace natgrad::detail
