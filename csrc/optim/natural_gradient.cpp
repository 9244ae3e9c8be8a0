#include <torch/torch.h>
#include "optim/natural_gradient_impl.h"
#include "optim/trainable.h"

#include <algorithm>
#include <utility>

namespace natgrad {

using torch::Tensor;

namespace {

// Rates below are Adam's or SGD's, as a rule.
constexpr double kUsualRate = 1e-3;

void warn_of_small_rates(const std::vector<torch::optim::OptimizerParamGroup>& groups) {
  double largest = 0;
  for (const auto& group : groups) largest = std::max(largest, options_of(group).lr());
  if (largest == 0 || largest > kUsualRate) return;
  TORCH_WARN(
      "natgrad: lr = ", largest,
      " is a rate for Adam. Here it is the share of a damped Newton step that is taken: 1 is "
      "a full one, and 0.1 usual; at ",
      largest, " training stands still. Leave it out, and the step size is chosen for you.");
}

}  // namespace

NaturalGradient::NaturalGradient(const std::vector<torch::optim::OptimizerParamGroup>& groups,
                                 NaturalGradientOptions defaults)
    : Optimizer(groups, std::make_unique<NaturalGradientOptions>(defaults)),
      impl_(std::make_unique<Impl>(std::move(defaults))) {
  // The base has replaced the groups' options by the defaults.
  for (size_t i = 0; i < groups.size(); ++i) param_groups_[i].set_options(options_for(groups[i]));
  check_groups();
  const bool decays =
      std::any_of(param_groups_.begin(), param_groups_.end(),
                  [](const auto& group) { return options_of(group).weight_decay() > 0; });
  impl().system().check_combination(decays);
  warn_of_small_rates(param_groups_);
}

NaturalGradient::NaturalGradient(std::vector<Tensor> parameters, NaturalGradientOptions defaults)
    : NaturalGradient({torch::optim::OptimizerParamGroup(std::move(parameters))},
                      std::move(defaults)) {}

NaturalGradient::NaturalGradient(NaturalGradient&&) noexcept = default;
NaturalGradient& NaturalGradient::operator=(NaturalGradient&&) noexcept = default;
NaturalGradient::~NaturalGradient() = default;

const NaturalGradient::Impl& NaturalGradient::impl() const {
  TORCH_CHECK(impl_,
              "natgrad: this optimizer was moved from, and has no parameters; use the one it was "
              "moved to.");
  return *impl_;
}

NaturalGradient::Impl& NaturalGradient::impl() {
  return const_cast<Impl&>(std::as_const(*this).impl());
}

const StepSummary& NaturalGradient::summary() const { return impl().summary(); }

Tensor NaturalGradient::step(const Tensor& loss) {
  return attempt({Batch(1, [&](int64_t) { return loss; })}, /*can_try=*/false);
}

Tensor NaturalGradient::step(LossClosure closure) {
  return attempt({Batch(std::move(closure))}, /*can_try=*/true);
}

Tensor NaturalGradient::step(int64_t chunks, Batch::Loss closure) {
  return attempt({Batch(chunks, std::move(closure))}, /*can_try=*/true);
}

Tensor NaturalGradient::step(const Batches& batches) { return attempt(batches, /*can_try=*/true); }

Tensor NaturalGradient::attempt(const Batches& batches, bool can_try) {
  impl().check_may_step();
  check_groups();
  return impl().step(batches, all_parameters(), param_groups_, can_try);
}

}  // namespace natgrad
