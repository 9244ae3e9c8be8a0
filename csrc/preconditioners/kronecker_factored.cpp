#include <fmt/format.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/preconditioners/kronecker_factored.h>
#include <torch/torch.h>

#include <algorithm>

#include "linalg/shapes.h"
#include "preconditioners/kronecker_options.h"
#include "preconditioners/kronecker_state.h"
#include "preconditioners/observed_parameters.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr int64_t kAlways = 3;  // the first steps, in which everything is renewed

bool are_of_the_same(const KroneckerBlock& a, const KroneckerBlock& b) {
  return a.activations.dtype() == b.activations.dtype() && a.weight == b.weight &&
         a.bias == b.bias && a.is_input_by_output == b.is_input_by_output &&
         a.activations.sizes() == b.activations.sizes() &&
         a.gradients.sizes() == b.gradients.sizes();
}

bool are_of_the_same(const KroneckerFactors& a, const KroneckerFactors& b) {
  return a.diagonal.defined() && b.diagonal.defined() && a.diagonal.dtype() == b.diagonal.dtype() &&
         a.diagonal.sizes() == b.diagonal.sizes() &&
         std::equal(a.blocks.begin(), a.blocks.end(), b.blocks.begin(), b.blocks.end(),
                    [](const auto& x, const auto& y) { return are_of_the_same(x, y); });
}

/// The entries of a sum of squares r rᵀ are finite where its diagonal is.
bool is_finite(const KroneckerFactors& factors) {
  auto sum = factors.diagonal.sum();
  const auto trace = [](const Tensor& factor) { return factor.diagonal(0, 1, 2).sum(); };
  for (const auto& block : factors.blocks) {
    sum = sum + trace(block.activations) + trace(block.gradients);
  }
  return sum.isfinite().item<bool>();
}

}  // namespace

void KroneckerFactored::check_options() const {
  detail::check_options(factors_);
  TORCH_CHECK(decay_ >= 0 && decay_ < 1, "natgrad: the decay of ", describe(), " is in [0, 1).");
  TORCH_CHECK(factor_interval_ >= 1 && inverse_interval_ >= 1, "natgrad: the intervals of ",
              describe(), " are at least 1 step.");
}

bool KroneckerFactored::is_due(int64_t interval) const {
  return calls_ < kAlways || calls_ % interval == 0;
}

void KroneckerFactored::average_in(const KroneckerFactors& batch) {
  if (!is_finite(batch)) return;
  if (!are_of_the_same(averages_, batch)) {
    averages_ = batch;
    batches_ = 1;
    return;
  }
  ++batches_;
  const double kept = std::min(1 - 1 / static_cast<double>(batches_), decay_);
  const auto mean = [kept](const Tensor& average, const Tensor& now) {
    return average.lerp(now, 1 - kept);
  };
  for (size_t k = 0; k < batch.blocks.size(); ++k) {
    auto& block = averages_.blocks[k];
    block.activations = mean(block.activations, batch.blocks[k].activations);
    block.gradients = mean(block.gradients, batch.blocks[k].gradients);
  }
  averages_.diagonal = mean(averages_.diagonal, batch.diagonal);
}

bool KroneckerFactored::is_of(const ParameterLayout& parameters) const {
  return are_the_observed(parameters_, shapes_, parameters.tensors());
}

void KroneckerFactored::forget() {
  averages_ = inverse_ = {};
  parameters_.clear();
  shapes_ = Tensor();
  calls_ = batches_ = 0;
  inverse_lambda_ = 0;
}

void KroneckerFactored::observe(const LossGraph& graph, double lambda) {
  const torch::NoGradGuard no_grad;
  check_options();
  check_lambda(*this, lambda);
  if (!is_of(graph.parameters())) forget();
  parameters_ = graph.parameters().tensors();
  const auto is_of_this_model = [&] {
    return averages_.diagonal.defined() && averages_.diagonal.numel() == graph.parameters().size();
  };
  if (is_due(factor_interval_) || !is_of_this_model()) {
    average_in(kronecker_factors(graph, graph.generator(Purpose::Preconditioner), factors_));
  }
  const bool is_stale = inverse_lambda_ == 0 || !are_of_the_same(inverse_, averages_);
  if (is_of_this_model() && (is_due(inverse_interval_) || is_stale)) {
    inverse_ = damped_inverse(averages_, lambda);
    inverse_lambda_ = lambda;
  }
  ++calls_;
}

LinearOperator KroneckerFactored::at(const LossGraph& graph, double lambda) const {
  const torch::NoGradGuard no_grad;
  check_options();
  check_lambda(*this, lambda);
  const auto& parameters = graph.parameters();
  if (batches_ == 0) {
    const auto factors =
        kronecker_factors(graph, graph.generator(Purpose::Preconditioner), factors_);
    return kronecker_product(damped_inverse(factors, lambda), parameters);
  }
  TORCH_CHECK(averages_.diagonal.numel() == parameters.size(), "natgrad: ", describe(),
              " has observed a model of ", averages_.diagonal.numel(),
              " parameters, but this one has ", parameters.size(), ". Use one for each model.");
  const bool is_current = inverse_interval_ > 1 || inverse_lambda_ == lambda;
  return kronecker_product(is_current ? inverse_ : damped_inverse(averages_, lambda), parameters);
}

std::vector<Tensor> KroneckerFactored::state() const {
  if (calls_ == 0) return {};
  std::vector<Tensor> state = {
      torch::tensor({static_cast<double>(calls_), static_cast<double>(batches_), inverse_lambda_},
                    torch::kDouble)};
  if (batches_ == 0) return state;  // none was finite
  const auto shapes = parameters_.empty() ? shapes_ : shapes_of(parameters_);
  if (shapes.defined()) state.push_back(shapes);
  append_factors(state, averages_);
  append_factors(state, inverse_);
  return state;
}

void KroneckerFactored::set_state(const std::vector<Tensor>& state) {
  auto loaded = KroneckerFactored(*this);
  loaded.forget();
  if (!state.empty()) {
    FactorReader reader(describe(), state);
    const auto numbers = reader.next_numbers(3);
    loaded.calls_ = static_cast<int64_t>(numbers[0]);
    loaded.batches_ = static_cast<int64_t>(numbers[1]);
    loaded.inverse_lambda_ = numbers[2];
    if (loaded.batches_ > 0) {
      loaded.shapes_ = reader.next_shapes_if_there();
      loaded.averages_ = reader.next_factors();
      loaded.inverse_ = reader.next_factors();
    }
    reader.check_end();
  }
  *this = std::move(loaded);
}

std::string KroneckerFactored::describe() const {
  return fmt::format(
      "KroneckerFactored(decay={}, samples={}, share={}, largest={}, factor_interval={}, "
      "inverse_interval={}{})",
      decay_, factors_.samples(), factors_.share(), factors_.largest(), factor_interval_,
      inverse_interval_, factors_.weights() == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::unique_ptr<Preconditioner> KroneckerFactored::clone() const {
  check_options();
  return std::make_unique<KroneckerFactored>(*this);
}

}  // namespace natgrad
