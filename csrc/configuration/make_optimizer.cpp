#include <natgrad/configuration/make_optimizer.h>
#include <natgrad/optim/natural_gradient.h>
#include <torch/script.h>
#include <torch/torch.h>

#include "configuration/natural_gradients.h"
#include "configuration/optimizers.h"

namespace natgrad {

using torch::Tensor;

namespace {

using OptimizerPtr = std::unique_ptr<torch::optim::Optimizer>;
/// Tells the options of the model that is trained.
using NameModel = std::function<void(NaturalGradientOptions& options)>;

/// All that are known; a natural gradient's options pass through `name_model`.
Makers<OptimizerOf> optimizer_makers(const NameModel& name_model) {
  auto makers = libtorch_optimizer_makers();
  for (const auto& [name, options_of] : natural_gradient_makers()) {
    makers[name] = [options_of, name_model](Settings& settings) -> OptimizerOf {
      auto options = options_of(settings);
      name_model(options);
      return [options](const Groups& groups) {
        return std::make_unique<NaturalGradient>(groups, options);
      };
    };
  }
  return makers;
}

OptimizerPtr optimizer_of(const Groups& groups, const std::string& json,
                          const NameModel& name_model) {
  auto settings = Settings::parse("the optimizer", json);
  return make(settings, optimizer_makers(name_model))(groups);
}

Groups one_group(std::vector<Tensor> parameters) {
  Groups groups;
  groups.emplace_back(std::move(parameters));
  return groups;
}

void name_none(NaturalGradientOptions&) {}

}  // namespace

OptimizerPtr make_optimizer(const Groups& groups, const std::string& json) {
  return optimizer_of(groups, json, name_none);
}

OptimizerPtr make_optimizer(std::vector<Tensor> parameters, const std::string& json) {
  return optimizer_of(one_group(std::move(parameters)), json, name_none);
}

OptimizerPtr make_optimizer(const std::shared_ptr<torch::nn::Module>& model,
                            const std::string& json) {
  TORCH_CHECK_VALUE(model, "natgrad: make_optimizer needs a model, but got a null pointer.");
  return optimizer_of(one_group(model->parameters()), json,
                      [&](NaturalGradientOptions& options) { options.module(model); });
}

OptimizerPtr make_optimizer(const torch::jit::Module& model, const std::string& json) {
  std::vector<Tensor> parameters;
  for (const auto& parameter : model.parameters()) parameters.push_back(parameter);
  return optimizer_of(one_group(std::move(parameters)), json,
                      [&](NaturalGradientOptions& options) { options.module(model); });
}

Tensor step(torch::optim::Optimizer& optimizer, const Tensor& loss) {
  if (auto* natural = dynamic_cast<NaturalGradient*>(&optimizer)) return natural->step(loss);
  TORCH_CHECK_VALUE(!dynamic_cast<torch::optim::LBFGS*>(&optimizer),
                    "natgrad: L-BFGS evaluates the loss more than once a step: give step() a "
                    "closure that computes it.");
  optimizer.zero_grad();
  loss.backward();
  optimizer.step();
  return loss.detach();
}

Tensor step(torch::optim::Optimizer& optimizer,
            const torch::optim::Optimizer::LossClosure& closure) {
  if (dynamic_cast<NaturalGradient*>(&optimizer)) return optimizer.step(closure);
  return optimizer
      .step([&] {
        const torch::AutoGradMode with_gradients(true);
        optimizer.zero_grad();
        auto loss = closure();
        loss.backward();
        return loss;
      })
      .detach();
}

}  // namespace natgrad
