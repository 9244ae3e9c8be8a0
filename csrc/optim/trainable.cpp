#include "optim/trainable.h"
#include <torch/torch.h>

#include <algorithm>
#include <functional>
#include <optional>

namespace natgrad::detail {

using torch::Tensor;

const NaturalGradientOptions& options_of(const torch::optim::OptimizerParamGroup& group) {
  const auto* options = dynamic_cast<const NaturalGradientOptions*>(&group.options());
  TORCH_CHECK(options,
              "natgrad: a parameter group has the options of another optimizer; give it "
              "NaturalGradientOptions.");
  return *options;
}

Trainable trainable_of(const std::vector<torch::optim::OptimizerParamGroup>& groups) {
  Trainable trainable;
  for (const auto& group : groups) {
    const size_t begin = trainable.parameters.size();
    for (const auto& parameter : group.params()) {
      if (parameter.requires_grad()) trainable.parameters.push_back(parameter);
    }
    trainable.groups.push_back({&options_of(group), begin, trainable.parameters.size()});
  }
  TORCH_CHECK(!trainable.parameters.empty(),
              "natgrad: no parameter requires a gradient; unfreeze some with "
              "requires_grad_(true).");
  return trainable;
}

namespace {

using Setting = std::function<double(const NaturalGradientOptions&)>;

/// What all groups have alike, if they do.
std::optional<double> common(const Trainable& trainable, const Setting& setting) {
  const double first = setting(*trainable.groups.front().options);
  const bool alike =
      std::all_of(trainable.groups.begin(), trainable.groups.end(),
                  [&](const auto& group) { return setting(*group.options) == first; });
  return alike ? std::optional(first) : std::nullopt;
}

}  // namespace

Tensor weight_decay(const Trainable& trainable, const ParameterLayout& layout) {
  const auto w = common(trainable, [](const auto& options) { return options.weight_decay(); });
  if (w) return *w > 0 ? torch::full({}, *w, layout.options()) : Tensor();
  std::vector<Tensor> pieces;
  for (const auto& group : trainable.groups) {
    for (size_t i = group.begin; i < group.end; ++i) {
      pieces.push_back(torch::full_like(trainable.parameters[i], group.options->weight_decay()));
    }
  }
  return layout.flatten(pieces);
}

void write_gradients(const Trainable& trainable, const ParameterLayout& layout,
                     const Tensor& gradient) {
  const auto pieces = layout.views(gradient);
  for (size_t i = 0; i < pieces.size(); ++i) {
    trainable.parameters[i].mutable_grad() = pieces[i].clone();
  }
}

Tensor at_rates(const Trainable& trainable, const Tensor& v, double rate) {
  const auto alpha = common(trainable, [](const auto& options) { return options.lr(); });
  if (alpha) return v * (rate * *alpha);
  auto scaled = v.clone();
  int64_t offset = 0;
  for (const auto& group : trainable.groups) {
    int64_t length = 0;
    for (size_t i = group.begin; i < group.end; ++i) length += trainable.parameters[i].numel();
    scaled.narrow(0, offset, length).mul_(rate * group.options->lr());
    offset += length;
  }
  return scaled;
}

void move_parameters(const ParameterLayout& layout, const Tensor& displacement) {
  const auto pieces = layout.views(displacement);
  for (size_t i = 0; i < pieces.size(); ++i) Tensor(layout.tensors()[i]).add_(pieces[i]);
}

}  // namespace natgrad::detail
