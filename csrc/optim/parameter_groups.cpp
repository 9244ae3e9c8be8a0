#include <torch/torch.h>
#include "optim/natural_gradient_impl.h"
#include "optim/trainable.h"

namespace natgrad {

using torch::Tensor;

std::vector<Tensor> NaturalGradient::all_parameters() const {
  std::vector<Tensor> parameters;
  for (const auto& group : param_groups_) {
    parameters.insert(parameters.end(), group.params().begin(), group.params().end());
  }
  return parameters;
}

void NaturalGradient::add_param_group(const torch::optim::OptimizerParamGroup& group) {
  auto options = options_for(group);
  auto parameters = all_parameters();
  parameters.insert(parameters.end(), group.params().begin(), group.params().end());
  check_parameters(parameters);
  Optimizer::add_param_group(group);
  param_groups_.back().set_options(std::move(options));
}

std::unique_ptr<NaturalGradientOptions> NaturalGradient::options_for(
    const torch::optim::OptimizerParamGroup& given) const {
  auto options = std::make_unique<NaturalGradientOptions>(impl().system());
  if (!given.has_options()) return options;
  const auto& wanted = options_of(given);
  // Nothing but a rate was said, either way: the optimizer's rule takes it.
  const bool is_untouched = wanted.same_system(NaturalGradientOptions()) ||
                            wanted.same_system(NaturalGradientOptions(wanted.lr()));
  TORCH_CHECK(wanted.same_system(impl().system()) || is_untouched,
              "natgrad: a parameter group asks for ", wanted.describe_system(),
              ", but the optimizer's one system has ", impl().system().describe_system(),
              ". Only lr and weight_decay may differ by group.");
  options->lr(wanted.lr()).weight_decay(wanted.weight_decay());
  options->check();
  return options;
}

void NaturalGradient::check_groups() {
  for (const auto& group : param_groups_) {
    options_of(group).check();
    TORCH_CHECK(options_of(group).same_system(impl().system()),
                "natgrad: the options of a parameter group were changed to ",
                options_of(group).describe_system(), ", but the optimizer's one system has ",
                impl().system().describe_system(),
                ". Only lr and weight_decay can change while it runs; make a new optimizer.");
  }
  check_new_parameters();
}

void NaturalGradient::check_new_parameters() {
  // The base class's ways of adding parameters cannot be overridden, only noticed.
  const auto parameters = all_parameters();
  if (!parameters.empty() && impl().has_met(parameters.size())) return;
  check_parameters(parameters);
  impl().meet(parameters.size());
}

}  // namespace natgrad
