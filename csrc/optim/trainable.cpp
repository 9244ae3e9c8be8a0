#include <natgrad/linalg/norm.h>
#include <natgrad/optim/trainable.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad {

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

Tensor weight_decay(const Trainable& trainable, const ParameterLayout& layout) {
  const auto decays = [](const Trainable::Group& group) {
    return group.options->weight_decay() > 0;
  };
  if (std::none_of(trainable.groups.begin(), trainable.groups.end(), decays)) return Tensor();
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

double move_parameters(const Trainable& trainable, const ParameterLayout& layout,
                       const Tensor& delta) {
  const auto pieces = layout.views(delta);
  double squares = 0;
  int64_t offset = 0;
  for (const auto& group : trainable.groups) {
    const double alpha = group.options->lr();
    const int64_t start = offset;
    for (size_t i = group.begin; i < group.end; ++i) {
      Tensor(trainable.parameters[i]).add_(pieces[i], alpha);
      offset += pieces[i].numel();
    }
    const auto of_group = delta.narrow(0, start, offset - start);
    squares += std::pow(alpha * norm_in_double(of_group), 2);
  }
  return std::sqrt(squares);
}

}  // namespace natgrad
