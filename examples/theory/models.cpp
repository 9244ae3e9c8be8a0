#include "theory/models.h"

#include <torch/torch.h>

namespace examples::theory {
namespace {

namespace nn = torch::nn;
using torch::Tensor;

template <class Layer, class... Arguments>
std::shared_ptr<Layer> layer(Arguments&&... arguments) {
  const auto made = std::make_shared<Layer>(std::forward<Arguments>(arguments)...);
  made->to(torch::kDouble);
  return made;
}
const auto linear = [](int64_t from, int64_t to) { return layer<nn::LinearImpl>(from, to); };

std::vector<Tensor> parameters_of(const std::vector<std::shared_ptr<nn::Module>>& layers) {
  std::vector<Tensor> all;
  for (const auto& one : layers) {
    for (const auto& parameter : one->parameters()) all.push_back(parameter);
  }
  return all;
}

Model layered() {
  const auto below = linear(64, 12), above = linear(12, 10);
  return {"64-12-10, tanh", parameters_of({below, above}),
          [=](const Tensor& x) { return above->forward(below->forward(x).tanh()); }};
}

Model convolutional() {
  const auto convolution = layer<nn::Conv2dImpl>(nn::Conv2dOptions(1, 4, 3).padding(1));
  const auto out = linear(64, 10);
  return {"convolution 3x3, pooling", parameters_of({convolution, out}), [=](const Tensor& x) {
            const auto maps = convolution->forward(x.view({-1, 1, 8, 8})).tanh();
            return out->forward(torch::avg_pool2d(maps, 2).flatten(1));
          }};
}

Model recurrent() {
  const auto cell = linear(8 + 10, 10), out = linear(10, 10);
  return {"recurrent, the rows as time", parameters_of({cell, out}), [=](const Tensor& x) {
            auto h = torch::zeros({x.size(0), 10}, torch::kDouble);
            for (const auto& row : x.view({-1, 8, 8}).unbind(1)) {
              h = cell->forward(torch::cat({row, h}, 1)).tanh();
            }
            return out->forward(h);
          }};
}

Model attention() {
  const auto query = linear(8, 6), key = linear(8, 6), value = linear(8, 6), out = linear(6, 10);
  return {"attention, the rows as words", parameters_of({query, key, value, out}),
          [=](const Tensor& x) {
            const auto rows = x.view({-1, 8, 8});
            const auto likeness = query->forward(rows).matmul(key->forward(rows).transpose(1, 2));
            return out->forward(likeness.softmax(2).matmul(value->forward(rows)).mean(1));
          }};
}

}  // namespace

std::vector<Model> models_of_digits() {
  return {layered(), convolutional(), recurrent(), attention()};
}

}  // namespace examples::theory
