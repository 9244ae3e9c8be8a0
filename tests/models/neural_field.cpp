// A picture as a function of its coordinates, by a network of sines.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct NeuralField : torch::nn::Module {
  NeuralField()
      : first(register_module("first", torch::nn::Linear(2, 32))),
        second(register_module("second", torch::nn::Linear(32, 32))),
        last(register_module("last", torch::nn::Linear(32, 1))) {}

  Tensor forward(const Tensor& x) {
    const auto h = torch::sin(3 * first->forward(x));
    return last->forward(torch::sin(second->forward(h))).squeeze(1);
  }

  torch::nn::Linear first, second, last;
};

}  // namespace

Model neural_field() {
  const auto x = 2 * torch::rand({kExamples, 2}) - 1;
  const auto y = torch::sin(6 * x.select(1, 0)) * torch::cos(4 * x.select(1, 1));

  const auto field = std::make_shared<NeuralField>();

  return {field->parameters(), [=](int64_t batch) {
            const auto error = field->forward(rows(x, batch)) - rows(y, batch);
            return (error * error).mean();
          }};
}

}  // namespace zoo
