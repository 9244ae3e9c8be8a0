#include "support/methods.h"

namespace benchmarks {

using torch::Tensor;

Method natural_gradient(const natgrad::NaturalGradientOptions& options) {
  return [options](std::vector<Tensor> parameters) -> Step {
    auto optimizer = std::make_shared<natgrad::NaturalGradient>(std::move(parameters), options);
    return [optimizer](const Tensor& loss) { optimizer->step(loss); };
  };
}

Method adam(double rate) {
  return [rate](std::vector<Tensor> parameters) -> Step {
    auto optimizer = std::make_shared<torch::optim::Adam>(std::move(parameters), rate);
    return [optimizer](const Tensor& loss) {
      optimizer->zero_grad();
      loss.backward();
      optimizer->step();
    };
  };
}

Method backward_only() {
  return [](std::vector<Tensor> parameters) -> Step {
    return [parameters = std::move(parameters)](const Tensor& loss) {
      loss.backward();
      for (const auto& parameter : parameters) parameter.mutable_grad().reset();
    };
  };
}

}  // namespace benchmarks
