#include "optim/replayed_batch.h"
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/census.h"
#include "graph/walk.h"
#include "libtorch/errors.h"
#include "libtorch/running_statistics.h"

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

ReplayedBatch::ReplayedBatch(Batch batch, std::vector<Tensor> parameters, Model model)
    : batch_(std::move(batch)), parameters_(std::move(parameters)), model_(std::move(model)) {
  TORCH_CHECK(
      batch_.loss != nullptr,
      "natgrad: step needs the loss: step(loss), or step(closure) with a closure that "
      "returns it. Gradients that several backward passes have accumulated in .grad are not "
      "read: for a batch in K pieces call step(K, [&](int64_t k) { return loss_of(k); }), "
      "whose loss is the mean of the pieces', without backward().");
  TORCH_CHECK(batch_.chunks >= 1, "natgrad: a batch has at least 1 chunk, but got ", batch_.chunks,
              ".");
  generators_.resize(batch_.chunks);
}

Tensor ReplayedBatch::evaluate(int64_t chunk) {
  if (!generators_[chunk]) return evaluate_first(chunk);
  Preserved before;  // what the call may draw from, or write to, besides the parameters
  before.exchange_buffers(model_).contents(statistics()).exchange_gradients(parameters_);
  before.generators(parameters_.front().device());
  generators_[chunk]();
  const auto loss = batch_.loss(chunk);
  check_number(loss);
  return loss;
}

Tensor ReplayedBatch::evaluate_trial(int64_t chunk, bool differentiable) {
  const torch::AutoGradMode mode(differentiable || differentiates_);
  if (torch::GradMode::is_enabled()) return evaluate(chunk);
  try {
    return evaluate(chunk);
  } catch (const c10::Error& error) {
    if (kind_of(error) != GraphError::NoGradient) throw;
  }
  differentiates_ = true;
  const torch::AutoGradMode enable_grad(true);
  return evaluate(chunk);
}

Tensor ReplayedBatch::evaluate_first(int64_t chunk) {
  const auto gradients = gradients_of(parameters_);
  generators_[chunk] = generator_states(parameters_.front().device());
  const auto loss = batch_.loss(chunk);
  torch::GradMode::is_enabled() ? check_loss(loss) : check_number(loss);
  if (chunk == 0 && loss.requires_grad()) first_loss_ = loss;
  differentiates_ = differentiates_ || !are_the_same(gradients_of(parameters_), gradients);
  return loss;
}

/// Of a model that nobody named, as far as a graph tells.
const std::vector<Tensor>& ReplayedBatch::statistics() {
  if (statistics_) return *statistics_;
  statistics_.emplace();
  if (model_.is_given() || !first_loss_.defined()) return *statistics_;
  const Census census({torch::autograd::impl::gradient_edge(first_loss_)});
  with_graph_errors([&] { statistics_ = running_statistics(census.nodes); });
  return *statistics_;
}

}  // namespace natgrad::detail
